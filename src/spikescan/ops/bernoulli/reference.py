"""The random numbers and their spikes in torch operations: the oracle of all tests."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.random import integers


def bernoulli(v: Tensor, key: Tensor, start: Tensor) -> Tensor:
    """[U < v] (B, T, D), at least float32, NaN where v is.

    U is below one: the clamp needs no pass of its own.
    """
    spikes = uniform(key, start, *v.shape[1:]) < v
    return torch.where(v.isnan(), v, spikes.to(v.dtype))


def uniform(key: Tensor, start: Tensor, steps: int, channels: int) -> Tensor:
    """The uniform numbers U in [0, 1), (B, T, D) float32."""
    out = torch.empty(key.shape[0], steps, channels, device=key.device)
    for block, x in integers(key, start, steps, out):
        torch.mul(x, 2.0**-24, out=block).add_(0.5)
    return out
