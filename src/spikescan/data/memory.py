"""Data sets held in memory that give a whole batch at once."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from spikescan.data.batch import SequenceBatch, collate
from spikescan.data.gaps import Missing, without_missing


class Sequences(Dataset[SequenceBatch]):
    """Sequences with targets; a subclass says how rows become a batch.

    ``DataLoader`` asks for all items of a batch at once, which saves a Python call and a small
    tensor for each item. ``dataset[i]`` is a batch of one.

    Args:
        y: Targets (N, ...), such as classes (N,) int64.
        lengths: Steps of each sequence (N,) int64, or ``None`` when all are equal.
    """

    filled = False
    """Whether the last step of a sequence may be filled up with zeros, which are no data."""

    def __init__(self, y: Tensor, lengths: Tensor | None = None) -> None:
        self.y = y
        self.lengths = lengths

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        """Return these rows as a batch.

        Args:
            rows: Row numbers (B,) int64, each in 0 .. N - 1.
            epoch: The epoch, for augmentation that differs from epoch to epoch.
        """
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> SequenceBatch:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is outside 0 .. {len(self) - 1}")
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> SequenceBatch:
        # See EpochSampler for the epoch inside the index. All indices of a batch share it.
        return self.batch(torch.tensor(indices) % len(self), indices[0] // len(self))


class FixedSequences(Sequences):
    """Sequences of one length, normalised as batches are made: a batch is one indexing.

    Args:
        x: Sequences (N, T, D); integers stay compact in memory.
        y: Targets (N, ...), such as classes (N,) int64.
        mean: Subtracted, in units of ``x``; one number, or one a channel (D,).
        std: Divided by, in units of ``x``; one number, or one a channel (D,).
        missing: What happens to NaN and infinite values in ``x``.

    Raises:
        DataError: There are such values, and they are refused.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        mean: float | Tensor = 0.0,
        std: float | Tensor = 1.0,
        missing: Missing = "refuse",
    ) -> None:
        super().__init__(y)
        self.x = without_missing(x, missing, "x")
        self.mean = mean
        self.std = std

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        """Return these rows as a batch without ``lengths``; the epoch has no influence."""
        x = self.x[rows].to(torch.float32)
        return SequenceBatch(x.sub_(self.mean).div_(self.std), self.y[rows])


class StepSequences(Sequences):
    """Sequences of different length with a target at every step: x (B, T, D), y (B, T, ...).

    Args:
        x: Of each sequence, (T, D) float32.
        y: Of each sequence, (T, ...); beyond a sequence's length targets are 0.
    """

    def __init__(self, x: list[Tensor], y: list[Tensor]) -> None:
        super().__init__(
            torch.nn.utils.rnn.pad_sequence(y, batch_first=True), torch.tensor([*map(len, x)])
        )
        self.x = x

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        """Return these rows as a padded batch with ``lengths``; the epoch has no influence."""
        x = [self.x[row] for row in rows.tolist()]
        return collate(x, self.y[rows, : max(map(len, x))])


def check_sizes(sizes: Tensor, total: int, count: int) -> None:
    """Raise ``ValueError`` unless sizes are ``count`` numbers from 1 on with the sum ``total``."""
    if len(sizes) != count or int(sizes.sum()) != total or bool((sizes < 1).any()):
        raise ValueError(
            f"sizes must be {count} numbers from 1 on whose sum is {total}, one a target, got "
            f"{len(sizes)} from {int(sizes.min()) if len(sizes) else 0} on with the sum "
            f"{int(sizes.sum())}"
        )


class RaggedSequences(Sequences):
    """Sequences of different length and any number of channels, end to end in one tensor.

    Args:
        samples: All sequences one after the other, (total, C), or (total,) for one channel:
            float32, or any other dtype with ``std``.
        sizes: Number of samples of each (N,) int64, each at least 1; their sum is ``total``.
        y: Targets (N, ...), such as classes (N,) int64.
        max_length: Samples beyond this are cut off.
        frame: Number of consecutive samples that become one step of frame * C channels, the C
            channels of the first sample before those of the second. The last step is filled with
            zeros.
        shift: Augmentation: up to this many samples, but at most a quarter of the sequence, are
            dropped from its start, drawn anew in each epoch.
        gain: Augmentation: amplitude changed by up to this many decibels either way, drawn anew
            in each epoch.
        speed: Augmentation: played faster or slower by up to this share, pitch and all, drawn
            anew in each epoch.
        seed: Seed of the augmentation.
        mean: Subtracted before the division by ``std``; one number, or one a sequence (N,).
        std: Divided by, in units of ``samples``; one number, or one a sequence (N,). Integers are
            then values, kept compact until a batch is made.
        missing: What happens to NaN and infinite samples.

    Raises:
        DataError: There are such samples, and they are refused.
        ValueError: ``sizes`` are not those of ``samples`` and ``y``, or integers come without
            ``std``; tokens belong in :class:`~spikescan.data.TokenSequences`.

    >>> samples = torch.arange(10.0).view(5, 2)
    >>> data = RaggedSequences(samples, torch.tensor([3, 2]), torch.tensor([0, 1]), max_length=9)
    >>> data.batch(torch.tensor([0, 1]), 0).x[1].tolist()
    [[6.0, 7.0], [8.0, 9.0], [0.0, 0.0]]
    """

    def __init__(
        self,
        samples: Tensor,
        sizes: Tensor,
        y: Tensor,
        *,
        max_length: int,
        frame: int = 1,
        shift: int = 0,
        gain: float = 0.0,
        speed: float = 0.0,
        seed: int = 0,
        mean: float | Tensor = 0.0,
        std: float | Tensor | None = None,
        missing: Missing = "refuse",
    ) -> None:
        super().__init__(y, -(-sizes.clamp(max=max_length) // frame))
        check_sizes(sizes, len(samples), len(y))
        if std is None and not samples.is_floating_point():
            raise ValueError(f"samples must be real numbers, or have a std, got {samples.dtype}")
        samples = samples.view(len(samples), -1)
        if samples.is_floating_point() and not bool(samples.isfinite().all()):
            parts = samples.split(sizes.tolist())
            whole = [without_missing(p, missing, f"sequence {i}") for i, p in enumerate(parts)]
            samples = torch.cat(whole)
        self.samples = samples
        self.sizes = sizes
        self.starts = sizes.cumsum(0) - sizes
        self.max_length = max_length
        self.frame = frame
        self.filled = frame > 1
        self.shift = shift
        self.gain = gain
        self.speed = speed
        self.seed = seed
        self.mean = torch.as_tensor(mean, dtype=torch.float32).expand(len(sizes))
        self.std = (
            None if std is None else torch.as_tensor(std, dtype=torch.float32).expand(len(sizes))
        )

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        """Return these rows as a padded batch (B, T, frame * C) with ``lengths`` in steps."""
        folded = [self._sequence(row, epoch) for row in rows.tolist()]
        return collate(folded, self.y[rows])

    def _sequence(self, row: int, epoch: int) -> Tensor:
        first, size = int(self.starts[row]), int(self.sizes[row])
        sequence = self.samples[first : first + size]
        if self.std is not None:
            sequence = (sequence.to(torch.float32) - self.mean[row]) / self.std[row]
        if self.shift or self.gain or self.speed:
            # Seeded by the item, not drawn in turn: the same in any worker and any batch.
            sequence = self._augment(sequence, np.random.default_rng((self.seed, epoch, row)))
        used = min(len(sequence), self.max_length)
        steps = -(-used // self.frame)
        out = sequence.new_zeros(steps * self.frame, sequence.shape[1])
        out[:used] = sequence[:used]
        return out.view(steps, -1)

    def _augment(self, sequence: Tensor, rng: np.random.Generator) -> Tensor:
        sequence = sequence[int(rng.integers(min(self.shift, len(sequence) // 4) + 1)) :]
        if self.speed:
            stretch = (1 + self.speed) ** rng.uniform(-1, 1)
            size = max(1, round(len(sequence) * stretch))
            sequence = F.interpolate(sequence.T[None], size=size, mode="linear")[0].T
        return sequence * float(10 ** (rng.uniform(-self.gain, self.gain) / 20))


class Windows(Sequences):
    """All windows of a series and what follows each of them; nothing is copied before a batch.

    Args:
        values: The series (T, C) float32.
        window: Steps of a window.
        horizon: Steps that follow it.
    """

    def __init__(self, values: Tensor, window: int, horizon: int) -> None:
        super().__init__(values[window:].unfold(0, horizon, 1).transpose(1, 2))
        self.x = values.unfold(0, window, 1).transpose(1, 2)

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        """Return these windows as a batch; the epoch has no influence."""
        return SequenceBatch(self.x[rows], self.y[rows])
