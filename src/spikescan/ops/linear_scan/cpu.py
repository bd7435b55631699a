"""The linear scan on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
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


def _forward(given: contract.Forward) -> tuple[Tensor, Tensor]:
    a, b = given.a, given.b
    out, last = contract.outputs(given, native.fresh)
    native.run(
        "linear_forward",
        _Arguments,
        b.dtype,
        a=_steps(a, b),
        b=b,
        h0=given.h0,
        lengths=given.lengths,
        out=out,
        last=last,
        per_step=a.ndim == 3,
        complex=given.is_complex,
        **native.sizes(b),
    )
    return out, last


def _backward(given: contract.Backward) -> tuple[Tensor, Tensor, Tensor]:
    a, h = given.a, given.h
    ga, gb, gh0 = contract.gradient_outputs(given, native.fresh)
    native.run(
        "linear_backward",
        _Arguments,
        h.dtype,
        a=_steps(a, h),
        h=h,
        h0=given.h0,
        lengths=given.lengths,
        g=given.g,
        gh=given.glast,
        ga=ga if given.need_a and a.ndim == 3 else None,
        sums=ga if given.need_a and a.ndim == 1 else None,
        gb=gb,
        gh0=gh0,
        per_step=a.ndim == 3,
        complex=given.is_complex,
        **native.sizes(h),
    )
    return ga, gb, gh0


backward = Operator(
    "linear_backward",
    contract.Backward,
    results=3,
    kernel=_backward,
    fake=lambda given: contract.gradient_outputs(given, native.fake),
)
forward = Operator(
    "linear_forward",
    contract.Forward,
    results=2,
    kernel=_forward,
    fake=lambda given: contract.outputs(given, native.fake),
    gradient=contract.gradient,
    backward=backward,
)
