"""Normalisation of sequences (B, T, D) that does not look at padding."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

NormKind = Literal["batch", "layer", "none"]


def inside(lengths: Tensor, steps: int) -> Tensor:
    """Mask (B, T, 1), true at each row's valid steps."""
    return (torch.arange(steps, device=lengths.device) < lengths[:, None]).unsqueeze(-1)


def without_padding(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The stream (B, T, D) with zeros in its padding."""
    # Padding may hold NaN, and a parameter's zero gradient times NaN is NaN.
    return x if lengths is None else torch.where(inside(lengths, x.shape[1]), x, 0)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation over batch and time, (B, T, D) with channels last.

    Statistics are those of valid steps only. It has no meaning for a single step or chunk in
    training, where whole sequences define the statistics: use ``eval()`` to run step by step.
    """

    def forward(self, input: Tensor, lengths: Tensor | None = None) -> Tensor:
        flat = input.reshape(-1, input.shape[-1])
        if lengths is None or not self.training:
            # The flat view keeps torch on its contiguous path, several times faster than (B, D, T).
            return super().forward(flat).view(input.shape)
        # index_select, whose gradient is a plain sum; that of flat[rows] would sort the rows first.
        rows = inside(lengths, input.shape[1]).flatten().nonzero().squeeze(-1)
        normed = super().forward(flat.index_select(0, rows))
        return torch.zeros_like(flat).index_copy(0, rows, normed).view(input.shape)


class LayerNorm(nn.LayerNorm):
    """Layer normalisation of each step."""

    def forward(self, input: Tensor, lengths: Tensor | None = None) -> Tensor:
        return super().forward(input)


class NoNorm(nn.Identity):
    """No normalisation."""

    def forward(self, input: Tensor, lengths: Tensor | None = None) -> Tensor:
        return input


def make_norm(kind: NormKind, features: int) -> BatchNorm | LayerNorm | NoNorm:
    """The normalisation called ``kind`` for ``features`` channels.

    Raises:
        ValueError: the name is unknown.
    """
    if kind == "batch":
        return BatchNorm(features)
    if kind == "layer":
        return LayerNorm(features)
    if kind == "none":
        return NoNorm()
    raise ValueError(f"norm must be 'batch', 'layer' or 'none', got {kind!r}")
