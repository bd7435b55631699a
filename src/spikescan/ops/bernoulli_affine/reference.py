"""Scaled Bernoulli spikes in torch operations: the oracle of all tests."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops.bernoulli import bernoulli


def bernoulli_affine(
    x: Tensor, gain: Tensor, bias: Tensor, key: Tensor, start: Tensor, lengths: Tensor | None
) -> Tensor:
    """[U < gain x + bias] (B, T, D), zero beyond the lengths."""
    if lengths is None:
        return bernoulli(gain * x + bias, key, start, impl="reference")
    inside = (torch.arange(x.shape[1], device=x.device) < lengths[:, None]).unsqueeze(-1)
    # Before, as a zero gradient times a NaN of the padding is NaN; after, as a bias fires alone.
    v = gain * torch.where(inside, x, 0) + bias
    return torch.where(inside, bernoulli(v, key, start, impl="reference"), 0)
