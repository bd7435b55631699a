"""The default task: scikit-learn's handwritten digits as sequences of pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import interpolate

from spikescan.data.facts import Classes, Facts
from spikescan.data.memory import FixedSequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.split import stratified_split


class Digits(SequenceData):
    """Handwritten digits, pixel by pixel in raster order: x (B, size * size, 1), 10 classes.

    The 1,797 images of 8x8 ship with scikit-learn, so nothing is downloaded. They are scaled to
    [0, 1], enlarged bilinearly, and normalised by mean and standard deviation of the training
    part. Of each class 20 % are test data, and 10 % of the rest are validation data; both splits
    are fixed (1,293 / 144 / 360).

    Args:
        root: Not used, as the data are embedded; here so that all data modules take it.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data.
        size: Width and height of the image; a sequence has size * size steps.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 64,
        workers: int = 0,
        seed: int = 0,
        size: int = 32,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("size", size, 1)
        self.size = size

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return "digits"

    @property
    def facts(self) -> Facts:
        """One step for each pixel, one channel: the brightness."""
        steps = self.size * self.size
        return Facts(Classes(tuple("0123456789")), length=steps, standardised="own")

    def load(self) -> Splits:
        """Make the sequences and split them."""
        from sklearn.datasets import load_digits

        images, target = load_digits(return_X_y=True)
        small = torch.from_numpy(np.asarray(images, dtype=np.float32)).view(-1, 1, 8, 8) / 16
        y = torch.from_numpy(np.asarray(target, dtype=np.int64))
        large = interpolate(small, size=(self.size, self.size), mode="bilinear")
        x = large.view(len(y), self.size * self.size, 1)

        development, test = stratified_split(y, 0.2)
        rest, held = stratified_split(y[development], 0.1)
        train, val = development[rest], development[held]
        mean, std = x[train].mean(), x[train].std()
        x = (x - mean) / std
        return Splits(*(FixedSequences(x[rows], y[rows]) for rows in (train, val, test)))
