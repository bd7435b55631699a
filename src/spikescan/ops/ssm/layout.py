"""Sequences (B, T, D) as channels (D, B, P), which batched products run over, and back.

The kernel transposes in memory in both directions: products would otherwise copy the gradient,
strided, once for each of them.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops.ssm import cpu
from spikescan.ops.ssm.contract import Turn


def channels_first(x: Tensor, steps: int) -> Tensor:
    """(D, B, steps) of x (B, T, D), T <= steps, with zeros beyond T."""
    if validate.choose("auto", x, ("reference", "cpu")) == "cpu":
        return cpu.turn(Turn(x=x, steps=steps, back=False))
    return F.pad(x.permute(2, 0, 1), (0, steps - x.shape[1])).contiguous()


def channels_last(y: Tensor, steps: int) -> Tensor:
    """(B, steps, D) of y (D, B, P), P >= steps."""
    if validate.choose("auto", y, ("reference", "cpu")) == "cpu":
        return cpu.turn(Turn(x=y, steps=steps, back=True))
    return y[:, :, :steps].permute(1, 2, 0).contiguous()
