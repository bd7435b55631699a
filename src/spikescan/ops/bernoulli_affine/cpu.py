"""Scaled Bernoulli spikes on the compiled CPU kernels, as torch operators."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.pair import pair
from spikescan.ops.bernoulli_affine import contract


def _forward(given: contract.Forward) -> Tensor:
    s = native.fresh(given.x.shape, given.x)
    native.run("bernoulli_affine_forward", s.dtype, given, s=s, **native.sizes(s))
    return s


def _backward(given: contract.Backward) -> tuple[Tensor, ...]:
    batch, _, channels = given.x.shape
    gx = native.fresh(given.x.shape, given.x)
    sums = native.fresh((batch, 2, channels), given.x, torch.float64)
    native.run("bernoulli_affine_backward", gx.dtype, given, gx=gx, sums=sums, **native.sizes(gx))
    ggain, gbias = sums.sum(0).to(gx.dtype).unbind()
    return gx, ggain.clone(), gbias.clone()


forward, backward = pair(
    "bernoulli_affine_{}", contract, forward=_forward, backward=_backward, results=(1, 3),
    fake=lambda given: native.fake(given.x.shape, given.x), empty=native.fake,
)  # fmt: skip
