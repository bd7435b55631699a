"""Spikes without memory on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.pair import pair
from spikescan.ops.spike import contract


def _forward(given: contract.Forward) -> Tensor:
    s = contract.output(given, native.fresh)
    native.run("spike_forward", given.x.dtype, given, s=s, **native.sizes(given.x))
    return s


def _backward(given: contract.Backward) -> tuple[Tensor, Tensor | None]:
    gx, gthresholds = contract.gradient_outputs(given, native.fresh)
    native.run(
        "spike_backward", given.x.dtype, given, gx=gx, gthresholds=gthresholds,
        **native.sizes(given.x),
    )  # fmt: skip
    return gx, gthresholds


forward, backward = pair(
    "spike_{}", contract, forward=_forward, backward=_backward, results=(1, 2),
    fake=lambda given: contract.output(given, native.fake), empty=native.fake,
)  # fmt: skip
