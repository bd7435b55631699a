"""Spikes without memory in plain torch: the oracle of all tests."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops.surrogate import Surrogate


def spike(x: Tensor, threshold: Tensor, lengths: Tensor | None, surrogate: Surrogate) -> Tensor:
    """(B, T, D), 0 or 1, or NaN where x is."""
    if lengths is not None:
        inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        x = torch.where(inside[..., None], x, -torch.inf)
    return torch.where(x.isnan(), x.detach(), surrogate(x - threshold))
