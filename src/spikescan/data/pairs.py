"""Two sequences an item, out of a pool of sequences."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Facts, PairClasses
from spikescan.data.memory import Sequences
from spikescan.data.module import Splits
from spikescan.data.synthetic import Probe


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


class ProbePairs(Probe):
    """Say whether two noisy sine waves have the same frequency: the waves of
    :class:`~spikescan.data.Probe` two by two, half of the pairs alike.

    Each wave stands first in one pair, its partner is drawn. Arguments are those of ``Probe``.
    """

    @property
    def facts(self) -> Facts:
        """One channel; two classes."""
        return Facts(PairClasses(("different", "same")), length=self.length)

    def load(self) -> Splits:
        """Generate the waves and pair them."""
        parts = enumerate(super().load())
        return Splits(
            *(_paired(pool, np.random.default_rng((self.seed, 9, i))) for i, pool in parts)
        )


def _paired(pool: Sequences, rng: np.random.Generator) -> PairSequences:
    kinds = pool.y.numpy()
    alike = np.arange(len(kinds)) % 2 == rng.integers(2, size=len(kinds))
    partners = [
        int(rng.choice(np.flatnonzero((kinds == kind) == same)))
        for kind, same in zip(kinds, alike, strict=True)
    ]
    pairs = torch.stack((torch.arange(len(kinds)), torch.tensor(partners)), 1)
    return PairSequences(pool, pairs, torch.from_numpy(alike).long())
