"""The adding problem: two marked numbers among many, over any length."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Facts, Values
from spikescan.data.memory import Sequences
from spikescan.data.module import SequenceData, Splits, at_least


class Adding(SequenceData):
    """Add two numbers that are marked among many: x (B, T, 2), y (B, 1).

    The first channel is uniform in 0 .. 1; the second one is 1 at two steps, one in the first half
    and one in the second, and 0 elsewhere. The answer is the sum of the numbers there, whose
    variance is 1/6: who always says 1 has a mean squared error of 0.1667. Sequences are generated
    as batches are made, so that length costs no memory; a sequence is the same in every epoch.
    Validation and test part have a quarter of the training part's size.

    Args:
        root: Not used, as the data are generated; here so that all data modules take it.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 prepares them in the main process.
        seed: Seed of the data and of their order.
        length: Number of steps of a sequence.
        samples: Number of training sequences.

    Raises:
        ValueError: An argument is out of range.

    Source: Hochreiter and Schmidhuber 1997 (Neural Computation 9(8)), in the form of Arjovsky et
    al. 2016 (arXiv 1511.06464).

    >>> batch = Adding(length=10, samples=8).splits.train.batch(torch.arange(3), 0)
    >>> x, marked = batch.x.unbind(-1)
    >>> torch.equal((x * marked).sum(1, keepdim=True), batch.y)
    True
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        length: int = 256,
        samples: int = 4_096,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("length", length, 2)
        at_least("samples", samples, 4)
        self.length, self.samples = length, samples

    @property
    def facts(self) -> Facts:
        """Number and mark are the channels; their sum is asked for."""
        return Facts(Values(("sum",)), length=self.length, inputs=2, channels=("number", "mark"))

    def load(self) -> Splits:
        """Say what the three parts are; only what is marked is drawn yet."""
        sizes = (self.samples, self.samples // 4, self.samples // 4)
        return Splits(*(_Generated(self, part, size) for part, size in enumerate(sizes)))


class _Generated(Sequences):
    def __init__(self, data: Adding, part: int, size: int) -> None:
        rng = np.random.default_rng((data.seed, part))
        half = data.length // 2
        first, second = rng.integers(half, size=size), rng.integers(half, data.length, size=size)
        self.places = torch.from_numpy(np.stack((first, second), 1))
        self.marked = torch.from_numpy(rng.random((size, 2), np.float32))
        super().__init__(self.marked.sum(1, keepdim=True))
        self.seed, self.part, self.length = data.seed, part, data.length

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        x = torch.zeros(len(rows), self.length, 2)
        for i, row in enumerate(rows.tolist()):
            rng = np.random.default_rng((self.seed, self.part, row))
            x[i, :, 0] = torch.from_numpy(rng.random(self.length, np.float32))
        x[:, :, 0].scatter_(1, self.places[rows], self.marked[rows])
        x[:, :, 1].scatter_(1, self.places[rows], 1)
        return SequenceBatch(x, self.y[rows])
