"""The linear scan on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import operator
from spikescan.ops.linear_scan import contract


class _Arguments(native.KernelArguments):
    """The C struct ``linear_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("a", "b", "h0", "h", "g", "gh", "lengths"),
        *native.strides("a", "b", "g"),
        *native.pointers("out", "last", "ga", "gb", "gh0"),
        *native.integers("B", "T", "D", "per_step", "complex", "threads"),
    ]


def _multiplier(a: Tensor) -> dict[str, Any]:
    """A multiplier constant in time is read through zero strides over batch and time."""
    whole = a if a.ndim == 3 else a.contiguous().expand(1, 1, -1)
    steps = whole if a.ndim == 3 else whole.as_strided(whole.shape, (0, 0, 1))
    return {"a": steps.data_ptr(), "a_stride": native.strides_of(steps), "per_step": a.ndim == 3}


@operator("linear_forward")
def linear_forward(
    a: Tensor, b: Tensor, h0: Tensor | None, lengths: Tensor | None, is_complex: bool
) -> tuple[Tensor, Tensor]:
    """All states (B, T, D) and the last (B, D); D counts real lanes."""
    a = a if a.ndim == 3 else a.contiguous()
    h0 = None if h0 is None else h0.contiguous()
    out, last = contract.outputs(a, b, native.fresh)
    native.call(
        "linear_forward",
        b.dtype,
        _Arguments(
            **_multiplier(a),
            b=b.data_ptr(),
            b_stride=native.strides_of(b),
            h0=native.address(h0),
            lengths=native.address(lengths),
            out=out.data_ptr(),
            last=last.data_ptr(),
            complex=is_complex,
            **native.sizes(b),
        ),
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
    a = a if a.ndim == 3 else a.contiguous()
    h0 = None if h0 is None else h0.contiguous()
    gh = None if gh is None else gh.contiguous()
    ga, gb, gh0 = contract.gradients(a, h, need_a, native.fresh)
    native.call(
        "linear_backward",
        h.dtype,
        _Arguments(
            **_multiplier(a),
            h=h.data_ptr(),
            h0=native.address(h0),
            lengths=native.address(lengths),
            **native.strided("g", g),
            gh=native.address(gh),
            ga=ga.data_ptr() if need_a else None,
            gb=gb.data_ptr(),
            gh0=gh0.data_ptr(),
            complex=is_complex,
            **native.sizes(h),
        ),
    )
    return ga, gb, gh0


contract.connect(linear_forward, linear_backward)
