"""Normalisation of sequences (B, T, D) that does not look at padding.

``out = norm(x, lengths, residual)`` adds the normalised x to a residual stream where one is given.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from spikescan import ops

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

    def forward(
        self, input: Tensor, lengths: Tensor | None = None, residual: Tensor | None = None
    ) -> Tensor:
        given = (None, None) if self.training else (self.running_mean, self.running_var)
        out, mean, var = ops.batch_norm(
            input,
            self.weight,
            self.bias,
            *given,
            residual=residual,
            eps=self.eps,
            lengths=lengths,
        )
        if self.training:
            count = input.shape[0] * input.shape[1] if lengths is None else lengths.sum()
            self._track(mean, var * (count / (count - 1)))
        return out

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor) -> None:
        """Let the running statistics follow those of a batch."""
        for name, new in (("running_mean", mean), ("running_var", var)):
            kept = getattr(self, name)
            kept.lerp_(new.to(kept.dtype), self.momentum)
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr]


class LayerNorm(nn.LayerNorm):
    """Layer normalisation of each step."""

    def forward(
        self, input: Tensor, lengths: Tensor | None = None, residual: Tensor | None = None
    ) -> Tensor:
        return _joined(super().forward(input), residual)


class NoNorm(nn.Identity):
    """No normalisation."""

    def forward(
        self, input: Tensor, lengths: Tensor | None = None, residual: Tensor | None = None
    ) -> Tensor:
        return _joined(input, residual)


def _joined(x: Tensor, residual: Tensor | None) -> Tensor:
    return x if residual is None else residual + x


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
