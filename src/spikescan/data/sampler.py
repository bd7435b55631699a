"""The order in which training data are seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor
from torch.utils.data import Sampler

# Batches that are sorted by length together: more waste less padding, fewer mix lengths better.
_POOL = 16


class EpochSampler(Sampler[int]):
    """Shuffle by a pure function of seed and epoch, so that a resumed run sees the same order.

    Lightning calls :meth:`set_epoch` before each epoch; a plain training loop does it itself.
    Under distributed training Lightning deals this order out to the processes.

    With ``lengths``, sequences that follow each other within a batch have similar length:
    the shuffled order is sorted by length within pools of 16 batches, cut into batches, and the
    batches are shuffled. An incomplete batch stays at the end.

    The index that is drawn for item ``i`` of ``size`` is ``epoch * size + i``. Carrying the epoch
    in the index tells it to worker processes that outlive an epoch;
    :class:`~spikescan.data.memory.Sequences` takes the two apart.

    Args:
        size: Number of items.
        seed: Seed, not negative.
        lengths: Length of each item (size,), to sort batches by; ``None`` for a plain shuffle.
        batch_size: Items in a batch; only used together with ``lengths``.
    """

    def __init__(
        self, size: int, *, seed: int, lengths: Tensor | None = None, batch_size: int = 1
    ) -> None:
        self.size = size
        self.seed = seed
        self.lengths = None if lengths is None else lengths.numpy()
        self.batch_size = batch_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration yields."""
        self.epoch = epoch

    def order(self, epoch: int) -> list[int]:
        """Return the order of an epoch: each of 0 .. size - 1 once."""
        # A pair as the seed, for seed + epoch would give seed 0 and seed 1 the same orders.
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(self.size)
        if self.lengths is not None:
            pool = _POOL * self.batch_size
            parts = [order[start : start + pool] for start in range(0, self.size, pool)]
            order = np.concatenate([part[np.argsort(self.lengths[part])] for part in parts])
            full = self.size // self.batch_size
            head = order[: full * self.batch_size].reshape(full, self.batch_size)
            tail = order[full * self.batch_size :]
            order = np.concatenate([rng.permutation(head).ravel(), tail])
        return order.tolist()

    def __iter__(self) -> Iterator[int]:
        # One value of the epoch for the whole pass, whatever set_epoch does meanwhile.
        offset = self.epoch * self.size
        for index in self.order(self.epoch):
            yield offset + index

    def __len__(self) -> int:
        return self.size
