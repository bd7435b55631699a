"""The batch that every data module yields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class SequenceBatch(NamedTuple):
    """Sequences with one target each.

    Attributes:
        x: Real-valued sequences (B, T, D) float32, or tokens (B, T) int64.
        y: Classes (B,) int64, or values to predict (B, H, C) float32: what the target of the data
            says, see :class:`~spikescan.data.Facts`.
        lengths: Number of valid steps of each sequence (B,) int64; what follows is padding.
            ``None`` when every sequence fills all T steps.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None

    def valid(self) -> Tensor:
        """Which steps (B, T) are not padding, bool."""
        rows, steps = self.x.shape[:2]
        if self.lengths is None:
            return torch.ones(rows, steps, dtype=torch.bool, device=self.x.device)
        return torch.arange(steps, device=self.x.device) < self.lengths[:, None]


def collate(sequences: Sequence[Tensor], y: Tensor, padding: float = 0) -> SequenceBatch:
    """Join sequences of different length, padded at the end to the longest of them.

    Args:
        sequences: B tensors (T_i, D) or (T_i,), of one dtype.
        y: Targets (B, ...).
        padding: Value after the end of a sequence; an integer token for token sequences.

    Raises:
        ValueError: No sequence is given, or not one target for each.

    >>> collate([torch.ones(2, 1), torch.ones(1, 1)], torch.tensor([0, 1])).lengths
    tensor([2, 1])
    """
    if not sequences or len(y) != len(sequences):
        raise ValueError(f"expected one target a sequence, got {len(sequences)} and {len(y)}")
    x = torch.nn.utils.rnn.pad_sequence(list(sequences), batch_first=True, padding_value=padding)
    return SequenceBatch(x, y, torch.tensor([len(sequence) for sequence in sequences]))
