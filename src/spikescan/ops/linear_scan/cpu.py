"""The linear scan on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.pair import pair
from spikescan.ops.linear_scan import contract


def _steps(a: Tensor, like: Tensor) -> Tensor:
    """A multiplier constant in time is read through zero strides over batch and time."""
    batch, steps, channels = like.shape
    # At least one of each: a tensor without elements has no memory.
    return a if a.ndim == 3 else a.expand(max(batch, 1), max(steps, 1), channels)


def _forward(given: contract.Forward) -> tuple[Tensor, Tensor]:
    a, b = given.a, given.b
    h, last = contract.outputs(given, native.fresh)
    native.run(
        "linear_scan_forward", b.dtype, given._replace(a=_steps(a, b)), h=h, last=last,
        per_step=a.ndim == 3, **native.sizes(b),
    )  # fmt: skip
    return h, last


def _backward(given: contract.Backward) -> tuple[Tensor, Tensor, Tensor]:
    a, h = given.a, given.h
    ga, gb, gh0 = contract.gradient_outputs(given, native.fresh)
    per_step = a.ndim == 3
    native.run(
        "linear_scan_backward", h.dtype, given._replace(a=_steps(a, h)), gb=gb, gh0=gh0,
        per_step=per_step, **{"ga" if per_step else "ga_rows": ga}, **native.sizes(h),
    )  # fmt: skip
    return ga, gb, gh0


forward, backward = pair(
    "linear_scan_{}", contract, forward=_forward, backward=_backward, results=(2, 3),
    fake=lambda given: contract.outputs(given, native.fake), empty=native.fake,
)  # fmt: skip
