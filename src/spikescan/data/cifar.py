"""CIFAR-10 as sequences of pixels: sCIFAR, and Image of the Long Range Arena."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from spikescan.data.archive import members
from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Classes, Facts
from spikescan.data.image import read_image
from spikescan.data.memory import FixedSequences
from spikescan.data.module import SequenceData, Splits
from spikescan.data.prepared import Arrays, prepared
from spikescan.data.root import DataError, data_root
from spikescan.data.sources import brought
from spikescan.data.split import stratified_split

_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
)  # fmt: skip
_SIDE = 32
_PIXELS = _SIDE * _SIDE
_RECORD = 1 + 3 * _PIXELS
_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
_IMAGES = 10_000  # in each file
_VERSION = 1
# Mean and standard deviation over the official training images, in units of a byte.
_COLOUR = ((125.307, 122.950, 113.865), (62.993, 62.089, 66.705))
_GREY = (122.6, 61.0)

_FEW = (4_000, 1_000)
"""Images of the subset, the first ones of training and test."""


class CIFAR10(SequenceData):
    """CIFAR-10, pixel by pixel or row by row: x (B, 1024, 1 or 3) or (B, 32, 32 or 96).

    The official test set of 10,000; of the 50,000 training images a fixed, stratified tenth is
    validation data. Pixels are kept as bytes and normalised by mean and standard deviation of the
    official training images. In grey and by pixels it is Image of the Long Range Arena.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data.
        grey: Brightness alone (ITU-R 601), one channel; otherwise red, green and blue.
        step: What one step shows: a pixel, or a row of the image with its pixels as channels.
        subset: Read the 4,000 and 1,000 images of ``cifar10_subset/`` below the root: PNG files
            of one image a row, ``cifar10_batch_K.png``, and ``labels.txt`` of lines
            "1000 * K + row, label"; K of 50 and more are for the test. Without that folder
            the first images of the official version are read, which are the same.

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
        grey: bool = True,
        step: Literal["pixel", "row"] = "pixel",
        subset: bool = False,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        if step not in ("pixel", "row"):
            raise ValueError(f"step must be 'pixel' or 'row', got {step!r}")
        self.grey = grey
        self.step = step
        self.subset = subset

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return "cifar10_subset" if self.subset else "cifar10"

    @property
    def facts(self) -> Facts:
        """One step for each pixel or row; colours, or colours of each pixel, are channels."""
        colours = 1 if self.grey else 3
        length, inputs = (_PIXELS, colours) if self.step == "pixel" else (_SIDE, _SIDE * colours)
        by = _GREY if self.grey else "own"
        return Facts(Classes(_CLASSES), length=length, inputs=inputs, standardised=by)

    def load(self) -> Splits:
        """Read the images, and split those for training."""
        arrays = self._subset() if self.subset else self._official()
        y = torch.from_numpy(arrays["y"])
        train, val = stratified_split(y, 0.1)
        x, x_test = (self._sequences(arrays[name]) for name in ("x", "x_test"))
        parts = (
            (x[train], y[train]),
            (x[val], y[val]),
            (x_test, torch.from_numpy(arrays["y_test"])),
        )
        return Splits(*(self._held(x, y) for x, y in parts))

    def read(self, file: Path) -> list[tuple[str, SequenceBatch]]:
        """An image of 32 x 32; see :meth:`SequenceData.read`."""
        x = self._sequences(read_image(file, _SIDE, grey=False).reshape(1, _PIXELS, 3))
        return [(str(file), self._held(x, torch.zeros(1, dtype=torch.int64))[0])]

    def _held(self, x: torch.Tensor, y: torch.Tensor) -> FixedSequences:
        mean, std = (torch.tensor(v) for v in (_GREY if self.grey else _COLOUR))
        if self.step == "row" and not self.grey:
            mean, std = mean.repeat(_SIDE), std.repeat(_SIDE)
        return FixedSequences(x, y, mean=mean, std=std)

    def _sequences(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """From pixels (N, 1024, 3) to sequences of bytes (N, T, D)."""
        if self.grey:
            weights = np.array([19_595, 38_470, 7_471], np.int64)  # of 65,536
            images = ((images @ weights + 32_768) >> 16).astype(np.uint8)[..., None]
        x = torch.from_numpy(np.ascontiguousarray(images))
        return x if self.step == "pixel" else x.flatten(1).unflatten(1, (_SIDE, -1))

    def _official(self) -> Arrays:
        place = brought("cifar10", self.root)
        return prepared("cifar10", (_VERSION, place), lambda: read_binary(place))

    def _subset(self) -> Arrays:
        folder = data_root(self.root) / "cifar10_subset"
        strips = sorted(folder.glob("cifar10_batch_*.png"))
        if not strips:  # The same images, out of the whole.
            whole = self._official()
            train, test = _FEW
            return {
                **{name: whole[name][:train] for name in ("x", "y")},
                **{name: whole[name][:test] for name in ("x_test", "y_test")},
            }
        key = (_VERSION, *strips, folder / "labels.txt")
        return prepared("cifar10_subset", key, lambda: read_strips(folder, strips))


def read_binary(place: Path, images: int = _IMAGES) -> Arrays:
    """Read the official binary version: pixels ``x`` (N, 1024, 3), ``x_test``, ``y``, ``y_test``.

    An image is one byte for its label and 3 x 1024 bytes for its red, green and blue pixels, row
    by row.

    Args:
        place: The archive or the folder with the six files.
        images: Number of images in each file.

    Raises:
        DataError: A file is missing, of another size or has a label that is not 0 .. 9.
    """
    found: dict[str, bytes] = {}
    for path, content in members(place, suffix=".bin", largest=images * _RECORD + 1):
        found[PurePosixPath(path).name] = content
    parts: list[NDArray[np.uint8]] = []
    for name in _FILES:
        if len(found.get(name, b"")) != images * _RECORD:
            raise DataError(
                f"{place}: {name} has {len(found.get(name, b'')):,} bytes, expected "
                f"{images * _RECORD:,}; download it anew"
            )
        parts.append(np.frombuffer(found[name], np.uint8).reshape(images, _RECORD))
    whole = np.concatenate(parts)
    if (wrong := np.flatnonzero(whole[:, 0] > 9)).size:
        file, image = divmod(int(wrong[0]), images)
        raise DataError(f"{place}: {_FILES[file]}: image {image} has label {whole[wrong[0], 0]}")
    x = whole[:, 1:].reshape(-1, 3, _PIXELS).transpose(0, 2, 1)
    y = whole[:, 0].astype(np.int64)
    cut = 5 * images
    return {"x": x[:cut], "y": y[:cut], "x_test": x[cut:], "y_test": y[cut:]}


def read_strips(folder: Path, strips: list[Path]) -> Arrays:
    """Read PNG files of one image a row; see the argument ``subset`` of :class:`CIFAR10`.

    Raises:
        DataError: A file is not such a PNG, or an image has no label or a wrong one.
    """
    from PIL import Image, UnidentifiedImageError

    labels: dict[int, int] = {}
    path = folder / "labels.txt"
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        if len(words) != 2 or not all(w.isdigit() for w in words) or int(words[1]) > 9:
            raise DataError(f"{path}: line {number} must be an index and a label, got {line!r}")
        labels[int(words[0])] = int(words[1])
    parts: dict[str, list[NDArray[np.uint8]]] = {"": [], "_test": []}
    classes: dict[str, list[int]] = {"": [], "_test": []}
    for strip in strips:
        batch = strip.stem.rpartition("_")[2]
        try:
            with Image.open(strip) as image:
                if image.mode != "RGB" or image.width != _PIXELS:
                    raise DataError(
                        f"{strip} must be RGB and {_PIXELS} wide, is {image.mode} and {image.width}"
                    )
                pixels = np.asarray(image)
        except (OSError, SyntaxError, UnidentifiedImageError) as error:
            raise DataError(f"{strip} is not a readable PNG: {error}") from error
        if not batch.isdigit():
            raise DataError(f"{strip} must end in the number of its batch")
        part = "_test" if int(batch) >= 50 else ""
        for row in range(len(pixels)):
            if (index := 1000 * int(batch) + row) not in labels:
                raise DataError(f"{path} has no label for image {index}")
            classes[part].append(labels[index])
        parts[part].append(pixels)
    if not all(parts.values()):
        raise DataError(f"{folder} needs batches below 50 and batches from 50 on")
    return {
        f"{name}{part}": value
        for part in parts
        for name, value in (
            ("x", np.concatenate(parts[part])),
            ("y", np.array(classes[part])),
        )
    }
