"""Bernoulli spikes on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
from spikescan.ops.bernoulli.contract import Forward


def _forward(given: Forward) -> Tensor:
    s = native.fresh(given.v.shape, given.v)
    native.run("bernoulli_forward", given.v.dtype, given, s=s, **native.sizes(given.v))
    return s


forward = Operator(
    "bernoulli_forward",
    Forward,
    results=1,
    kernel=_forward,
    fake=lambda given: native.fake(given.v.shape, given.v),
)
