"""MNIST and Fashion-MNIST as sequences of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Classes, Facts
from spikescan.data.idx import read_idx
from spikescan.data.image import bright_edge, read_image
from spikescan.data.memory import FixedSequences
from spikescan.data.module import SequenceData, Splits
from spikescan.data.root import DataError
from spikescan.data.sources import find_source, require
from spikescan.data.split import stratified_split

PixelOrder = Literal["raster", "permuted", "bit_reversal"]

_SIDE = 28
_PIXELS = _SIDE * _SIDE
_VALIDATION = 5_000
_TRAINING = 60_000 - _VALIDATION

# Mean and standard deviation of the 60,000 official training images, pixels in [0, 1].
_STATISTICS = {"mnist": (0.1306605, 0.3081078), "fashion_mnist": (0.2860406, 0.3530242)}
_CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
}


def pixel_order(order: PixelOrder, seed: int = 0) -> Tensor:
    """Return which of the 784 pixels is shown at each step, int64 (784,).

    Args:
        order: ``"raster"`` goes row by row. ``"permuted"`` is one random permutation, the same
            for every image. ``"bit_reversal"`` reverses the ten bits of 0 .. 1023 and keeps what
            is below 784: neighbours in the image end up far apart, without chance.
        seed: Seed of the random permutation. It is drawn by NumPy's legacy ``RandomState``, whose
            stream is guaranteed not to change between versions.

    Raises:
        ValueError: The order is unknown.
    """
    if order == "raster":
        return torch.arange(_PIXELS)
    if order == "permuted":
        permutation = np.random.RandomState(seed).permutation(_PIXELS)
        return torch.from_numpy(permutation.astype(np.int64))
    if order == "bit_reversal":
        reversed_ = (int(f"{index:010b}"[::-1], 2) for index in range(1024))
        return torch.tensor([index for index in reversed_ if index < _PIXELS])
    raise ValueError(f"order must be 'raster', 'permuted' or 'bit_reversal', got {order!r}")


class _Shifted(FixedSequences):
    """Images that are moved by up to ``shift`` pixels either way, anew in each epoch."""

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        pixels: Tensor,
        shift: int,
        seed: int,
        mean: float,
        std: float,
    ) -> None:
        super().__init__(x, y, mean=mean, std=std)
        self.pixels, self.seed = pixels, seed
        # Where the pixels of an image come from for each move, in raster order; what comes in at
        # an edge is the black pixel behind the last one.
        moves = torch.arange(-shift, shift + 1)
        row = torch.arange(_SIDE)[None, None, :, None] - moves[:, None, None, None]
        column = torch.arange(_SIDE)[None, None, None, :] - moves[None, :, None, None]
        inside = (row >= 0) & (row < _SIDE) & (column >= 0) & (column < _SIDE)
        self.sources = torch.where(inside, row * _SIDE + column, _PIXELS).view(-1, _PIXELS)

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        # Seeded by the item, not drawn in turn: the same in any worker and any batch.
        moves = [
            int(np.random.default_rng((self.seed, epoch, row)).integers(len(self.sources)))
            for row in rows.tolist()
        ]
        held = self.x[rows]
        images = torch.cat((held.flatten(1), held.new_zeros(len(rows), 1)), 1)
        x = images.gather(1, self.sources[moves][:, self.pixels]).view_as(held).to(torch.float32)
        return SequenceBatch(x.sub_(self.mean).div_(self.std), self.y[rows])


class MNIST(SequenceData):
    """MNIST or Fashion-MNIST, pixel by pixel, x (B, 784, 1), or row by row, x (B, 28, 28); 10
    classes.

    The official test set of 10,000; of the 60,000 training images a fixed, stratified 5,000 are
    validation data. Pixels are kept as bytes and normalised by the mean and standard deviation of
    the official training images.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data and of the augmentation.
        variant: Which of the two data sets.
        order: Order of the pixels; "permuted" is the task known as psMNIST.
        step: What is shown at each step: a pixel, or 28 of them, a row.
        permutation_seed: Seed of the one permutation of "permuted".
        limit: Use only this many training images, the same for every seed; for quick runs.
        shift: Augmentation of training data: the image moved by at most this many pixels up or
            down and left or right, before its pixels are put in order.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 128,
        workers: int = 0,
        seed: int = 0,
        variant: Literal["mnist", "fashion_mnist"] = "mnist",
        order: PixelOrder = "raster",
        step: Literal["pixel", "row"] = "pixel",
        permutation_seed: int = 0,
        limit: int | None = None,
        shift: int = 0,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        if variant not in _STATISTICS:
            raise ValueError(f"variant must be 'mnist' or 'fashion_mnist', got {variant!r}")
        if step not in ("pixel", "row"):
            raise ValueError(f"step must be 'pixel' or 'row', got {step!r}")
        if limit is not None and not 1 <= limit <= _TRAINING:
            raise ValueError(f"limit must be within 1 .. {_TRAINING}, got {limit}")
        if not 0 <= shift < _SIDE:
            raise ValueError(f"shift must be within 0 .. {_SIDE - 1}, got {shift}")
        self.variant = variant
        self.order = order
        self.shift = shift
        self.shape = (_PIXELS, 1) if step == "pixel" else (_SIDE, _SIDE)
        self.limit = limit
        self._pixels = pixel_order(order, permutation_seed)

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return self.variant

    @property
    def facts(self) -> Facts:
        """One step for each pixel, whose channel is the brightness, or for each row."""
        mean, std = _STATISTICS[self.variant]
        return Facts(
            Classes(_CLASSES[self.variant]),
            length=self.shape[0],
            inputs=self.shape[1],
            standardised=(255 * mean, 255 * std),
        )

    def load(self) -> Splits:
        """Read the four files and split the training images."""
        folder = require(find_source(self.variant), self.root)
        x, y = self._read(folder, "train", 60_000)
        train, val = stratified_split(y, _VALIDATION)
        train = train[: self.limit]
        tested = self._read(folder, "t10k", 10_000)
        learned = self._moved if self.shift else self._held
        return Splits(learned(x[train], y[train]), self._held(x[val], y[val]), self._held(*tested))

    def read(self, file: Path) -> list[tuple[str, SequenceBatch]]:
        """An image of 28 x 28, bright on black; see :meth:`SequenceData.read`."""
        pixels = read_image(file, _SIDE, grey=True)
        if bright_edge(pixels):
            self.notes.append(
                f"{file} is bright at its edge, the network learned from images that are bright on "
                "black: if this one is dark on white, invert it"
            )
        x = torch.from_numpy(pixels).reshape(1, _PIXELS)
        return [(str(file), self._held(x, torch.zeros(1, dtype=torch.int64))[0])]

    def _held(self, x: Tensor, y: Tensor) -> FixedSequences:
        mean, std = _STATISTICS[self.variant]
        x = x[:, self._pixels].view(-1, *self.shape)
        return FixedSequences(x, y, mean=255 * mean, std=255 * std)

    def _moved(self, x: Tensor, y: Tensor) -> FixedSequences:
        mean, std = _STATISTICS[self.variant]
        return _Shifted(
            x.view(-1, *self.shape),
            y,
            pixels=self._pixels,
            shift=self.shift,
            seed=self.seed,
            mean=255 * mean,
            std=255 * std,
        )

    def _read(self, folder: Path, part: str, count: int) -> tuple[Tensor, Tensor]:
        """Return bytes (count, 784), row by row, and classes (count,)."""
        images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
        labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")
        if images.shape != (count, 28, 28) or labels.shape != (count,):
            raise DataError(
                f"{folder}: {part} has images {images.shape} and labels {labels.shape}, expected "
                f"({count}, 28, 28) and ({count},)"
            )
        return torch.tensor(images).view(count, _PIXELS), torch.from_numpy(labels.astype(np.int64))
