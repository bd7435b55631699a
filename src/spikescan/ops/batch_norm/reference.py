"""Batch normalisation as it is written: the oracle of all tests."""

from __future__ import annotations

import torch
from torch import Tensor


def batch_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    mean: Tensor | None,
    var: Tensor | None,
    lengths: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised sequences (B, T, D) plus the residual, and the mean and variance used."""
    kept, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))
    inside = None
    if lengths is not None:
        inside = (torch.arange(x.shape[1], device=x.device) < lengths[:, None]).unsqueeze(-1)
        x = torch.where(inside, x, 0)
    if mean is None or var is None:
        count = x.shape[0] * x.shape[1] if lengths is None else lengths.sum()
        mean = x.sum((0, 1)) / count
        off = x - mean if inside is None else torch.where(inside, x - mean, 0)
        var = off.square().sum((0, 1)) / count
    out = (x - mean) * (var + eps).rsqrt() * weight + bias
    if inside is not None:
        out = torch.where(inside, out, 0)
    out = out.to(kept)
    return (out if residual is None else residual + out), mean, var
