"""Two sequences an item, out of a pool of sequences."""

from __future__ import annotations

from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.memory import Sequences


class PairSequences(Sequences):
    """Pairs of sequences with one target each: x (2B, T, D) or (2B, T), y (B,).

    Rows 2i and 2i + 1 of x are the pair of y[i]. A sequence may be in many pairs.

    Args:
        pool: The sequences; their own targets are not read.
        pairs: Rows of the pool (N, 2) int64 that belong together.
        y: Targets (N, ...).

    Raises:
        ValueError: There is not one target a pair, or a row is not in the pool.

    >>> from spikescan.data import FixedSequences
    >>> pool = FixedSequences(torch.arange(3.0).view(3, 1, 1), torch.zeros(3))
    >>> data = PairSequences(pool, torch.tensor([[0, 2], [1, 1]]), torch.tensor([0, 1]))
    >>> data.batch(torch.tensor([1, 0]), 0).x.flatten()
    tensor([1., 1., 0., 2.])
    """

    def __init__(self, pool: Sequences, pairs: Tensor, y: Tensor) -> None:
        if pairs.shape != (len(y), 2):
            raise ValueError(f"pairs must have shape ({len(y)}, 2), got {tuple(pairs.shape)}")
        if len(pairs) and not 0 <= int(pairs.min()) <= int(pairs.max()) < len(pool):
            raise ValueError(
                f"pairs must be rows of the pool, 0 .. {len(pool) - 1}, got "
                f"{int(pairs.min())} .. {int(pairs.max())}"
            )
        # The longer one of a pair decides what padding costs.
        super().__init__(y, None if pool.lengths is None else pool.lengths[pairs].amax(1))
        self.pool, self.pairs = pool, pairs

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        """Return these pairs as a batch, with the pool's augmentation of this epoch."""
        both = self.pool.batch(self.pairs[rows].flatten(), epoch)
        return SequenceBatch(both.x, self.y[rows], both.lengths)
