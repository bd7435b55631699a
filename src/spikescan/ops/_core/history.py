"""The inputs that a causal convolution carries from one chunk to the next."""

from __future__ import annotations

import torch
from torch import Tensor


def with_history(x: Tensor, inputs: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Put the carried inputs (B, n, D) before x (B, T, D); also give the n inputs to carry on.

    What lies beyond a row's length becomes zero, and the inputs to carry on end at that length.
    """
    steps = x.shape[1]
    if lengths is None:
        padded = torch.cat((inputs, x), 1)
        return padded, padded[:, steps:].clone()
    inside = torch.arange(steps, device=x.device) < lengths[:, None]
    padded = torch.cat((inputs, torch.where(inside[..., None], x, 0)), 1)
    index = lengths[:, None] + torch.arange(inputs.shape[1], device=x.device)
    return padded, padded.gather(1, index[..., None].expand(-1, -1, x.shape[2]))
