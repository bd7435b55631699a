"""The linear scan on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.cpu import call as native
from spikescan.ops.linear_scan import contract


class _Arguments(native.KernelArguments):
    """The C struct ``linear_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("a", "b", "h0", "h", "g", "gh", "lengths"),
        *native.flags("h0", "g", "gh", "lengths"),
        *native.strides("a", "b", "g"),
        *native.pointers("out", "last", "ga", "sums", "gb", "gh0"),
        *native.flags("ga", "sums"),
        *native.integers("B", "T", "D", "per_step", "complex", "threads"),
    ]
    dtypes = {"lengths": torch.int64, "sums": torch.float64}  # noqa: RUF012


def _steps(a: Tensor, like: Tensor) -> Tensor:
    """A multiplier constant in time is read through zero strides over batch and time."""
    batch, steps, channels = like.shape
    # At least one of each: a tensor without elements has no memory.
    return a if a.ndim == 3 else a.expand(max(batch, 1), max(steps, 1), channels)


@operator("linear_forward")
def linear_forward(
    a: Tensor, b: Tensor, h0: Tensor | None, lengths: Tensor | None, is_complex: bool
) -> tuple[Tensor, Tensor]:
    """All states (B, T, D) and the last (B, D); D counts real lanes."""
    out, last = contract.outputs(a, b, native.fresh)
    native.run(
        "linear_forward",
        _Arguments,
        b.dtype,
        a=_steps(a, b),
        b=b,
        h0=h0,
        lengths=lengths,
        out=out,
        last=last,
        per_step=a.ndim == 3,
        complex=is_complex,
        **native.sizes(b),
    )
    return out, last


@operator("linear_backward")
def linear_backward(
    a: Tensor,
    h: Tensor,
    h0: Tensor | None,
    lengths: Tensor | None,
    g: Tensor | None,
    gh: Tensor | None,
    is_complex: bool,
    need_a: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of a ((B, T, D), or (B, D) float64 when constant, or empty), of b, of h0."""
    ga, gb, gh0 = contract.gradients(a, h, need_a, native.fresh)
    native.run(
        "linear_backward",
        _Arguments,
        h.dtype,
        a=_steps(a, h),
        h=h,
        h0=h0,
        lengths=lengths,
        g=g,
        gh=gh,
        ga=ga if need_a and a.ndim == 3 else None,
        sums=ga if need_a and a.ndim == 1 else None,
        gb=gb,
        gh0=gh0,
        per_step=a.ndim == 3,
        complex=is_complex,
        **native.sizes(h),
    )
    return ga, gb, gh0


contract.connect(linear_forward, linear_backward)
