"""Sequences (B, T, D) as channels (D, B, P), which batched products run over, and back.

Transposed in memory in both directions: products would otherwise copy the gradient, strided, once
for each of them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops.ssm import cpu
from spikescan.ops.ssm.contract import Turn


def channels_first(x: Tensor, steps: int) -> Tensor:
    """(D, B, steps) of x (B, T, D), T <= steps, with zeros beyond T."""
    return _ChannelsFirst.apply(x, steps)  # type: ignore[no-any-return]


def channels_last(y: Tensor, steps: int) -> Tensor:
    """(B, steps, D) of y (D, B, P), P >= steps."""
    return _ChannelsLast.apply(y, steps)  # type: ignore[no-any-return]


class _ChannelsFirst(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, steps: int) -> Tensor:
        ctx.steps = x.shape[1]
        if validate.choose("auto", x, ("reference", "cpu")) == "cpu":
            return cpu.channels(Turn(x=x, steps=steps))
        return F.pad(x.permute(2, 0, 1), (0, steps - ctx.steps)).contiguous()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _ChannelsLast.apply(grads[0], ctx.steps), None  # type: ignore[return-value]


class _ChannelsLast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, steps: int) -> Tensor:
        ctx.steps = y.shape[2]
        if validate.choose("auto", y, ("reference", "cpu")) == "cpu":
            return cpu.sequences(Turn(x=y, steps=steps))
        return y[:, :, :steps].permute(1, 2, 0).contiguous()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _ChannelsFirst.apply(grads[0], ctx.steps), None  # type: ignore[return-value]
