"""A tiny generated task for tests and quick runs."""

from __future__ import annotations

import numpy as np
import torch

from spikescan.data.facts import Classes, Facts
from spikescan.data.memory import FixedSequences, RaggedSequences, Sequences
from spikescan.data.module import SequenceData, Splits, at_least


class Probe(SequenceData):
    """Tell frequencies apart: x (B, T, 1) is a noisy sine wave whose frequency is its class.

    x[t] = sin(2 pi (f_class t + phase)) + noise * n[t], with a random phase for each sequence and
    n standard normal; f_class goes geometrically from 1/32 to 1/4 cycles a step. Classes are
    balanced. Validation and test part have a quarter of the size of the training part.

    Args:
        root: Not used, as the data are generated; here so that all data modules take it.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the data and of their order.
        length: Number of steps of the longest sequence.
        classes: Number of classes.
        samples: Number of training sequences.
        variable: Let lengths vary between half of ``length`` and all of it.
        noise: Standard deviation of the noise; the wave has amplitude 1.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        length: int = 128,
        classes: int = 4,
        samples: int = 512,
        variable: bool = False,
        noise: float = 0.3,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("length", length, 2)
        at_least("classes", classes, 2)
        at_least("samples", samples, 4)
        at_least("noise", noise, 0)
        self.samples = samples
        self.variable = variable
        self.noise = noise
        self.length = length
        # Cycles a step; the lowest still shows four cycles in 128 steps.
        self.frequencies = tuple(float(f) for f in np.geomspace(1 / 32, 1 / 4, classes))

    @property
    def facts(self) -> Facts:
        """One channel; the names of the classes are their frequencies in cycles a step."""
        return Facts(Classes(tuple(f"{f:.4f}" for f in self.frequencies)), length=self.length)

    def load(self) -> Splits:
        """Generate the three parts, each from its own stream of random numbers."""
        quarter = self.samples // 4
        sizes = (self.samples, quarter, quarter)
        return Splits(*(self._generate(part, size) for part, size in enumerate(sizes)))

    def _generate(self, part: int, size: int) -> Sequences:
        rng = np.random.default_rng((self.seed, part))
        y = np.arange(size) % len(self.frequencies)
        frequency = np.asarray(self.frequencies)[y][:, None]
        phase = rng.random((size, 1))
        wave = np.sin(2 * np.pi * (frequency * np.arange(self.length) + phase))
        x = (wave + self.noise * rng.standard_normal(wave.shape)).astype(np.float32)
        if not self.variable:
            return FixedSequences(torch.from_numpy(x[:, :, None]), torch.from_numpy(y))
        lengths = rng.integers(self.length // 2, self.length, size=size, endpoint=True)
        cut = np.concatenate([row[:length] for row, length in zip(x, lengths, strict=True)])
        return RaggedSequences(
            torch.from_numpy(cut),
            torch.from_numpy(lengths),
            torch.from_numpy(y),
            max_length=self.length,
        )
