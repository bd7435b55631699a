"""Sequences of tokens, such as bytes, held in memory."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.data.batch import SequenceBatch, collate
from spikescan.data.memory import Sequences, check_sizes


class TokenSequences(Sequences):
    """Sequences of tokens of different length, end to end in one tensor.

    Args:
        tokens: All sequences one after the other (total,); any integer dtype, kept as it is.
        sizes: Number of tokens of each (N,) int64, each at least 1; their sum is ``total``.
        y: Targets (N, ...), such as classes (N,) int64.
        max_length: Steps of the longest sequence; tokens beyond are cut off.
        offset: Added to each token. Token 0 is the padding: with bytes the offset is 1.
        end: Token that follows the last one of each sequence, within ``max_length``; None for
            none.

    Raises:
        ValueError: ``sizes`` are not those of ``tokens`` and ``y``.

    >>> data = TokenSequences(
    ...     torch.tensor([3, 1, 2]), torch.tensor([2, 1]), torch.tensor([0, 1]), max_length=9, end=7
    ... )
    >>> data.batch(torch.tensor([0, 1]), 0).x
    tensor([[3, 1, 7],
            [2, 7, 0]])
    """

    def __init__(
        self,
        tokens: Tensor,
        sizes: Tensor,
        y: Tensor,
        *,
        max_length: int,
        offset: int = 0,
        end: int | None = None,
    ) -> None:
        check_sizes(sizes, len(tokens), len(y))
        kept = sizes.clamp(max=max_length - (end is not None))
        super().__init__(y, kept + (end is not None))
        self.tokens = tokens
        self.sizes = sizes
        self.starts = sizes.cumsum(0) - sizes
        self.kept = kept
        self.offset = offset
        self.end = end

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        """Return these rows as a padded batch (B, T) with ``lengths``; the epoch is not used."""
        return collate([self._sequence(row) for row in rows.tolist()], self.y[rows])

    def _sequence(self, row: int) -> Tensor:
        first, size = int(self.starts[row]), int(self.kept[row])
        tokens = self.tokens[first : first + size].to(torch.int64) + self.offset
        if self.end is None:
            return tokens
        return torch.cat((tokens, tokens.new_tensor([self.end])))
