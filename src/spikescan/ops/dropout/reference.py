"""Dropout in torch operations: the oracle of all tests."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.random import integers
from spikescan.ops.dropout.contract import ROW


def dropout(x: Tensor, key: Tensor, least: int, factor: float) -> Tensor:
    """x times ``factor`` where its random integer is at least ``least``, else times 0."""
    rows = -(-x.numel() // ROW)
    kept = torch.empty(1, rows, ROW, dtype=torch.bool, device=x.device)
    for block, integer in integers(key, torch.zeros_like(key), rows, kept):
        torch.ge(integer, least, out=block)
    return x * (kept.flatten()[: x.numel()].view(x.shape).to(x.dtype) * factor)
