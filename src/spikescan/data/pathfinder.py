"""Are two dots on one path? Pathfinder and Path-X of the Long Range Arena."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Classes, Facts
from spikescan.data.image import read_image
from spikescan.data.memory import FixedSequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.pathfinder_images import draw
from spikescan.data.prepared import Arrays, prepared
from spikescan.data.root import DataError, data_root

_HALF = 127.5
"""Half of the range of a pixel, which becomes -1 .. 1."""
_CLASSES = ("apart", "joined")
_BLOCK = 256  # images drawn at a time, each block from its own stream of random numbers
_VERSION = 2


class Pathfinder(SequenceData):
    """Are two dots the ends of one dashed path? x (B, side * side, 1) pixels, 2 classes.

    Every image has two long paths of dashes, which bend but cross nothing, and short ones that
    distract. Two dots are at the ends of one long path, or at an end of each. The images are our
    own, in the manner of Linsley et al. 2018 and not theirs: figures compare with published ones
    only as far as that goes. 32 pixels a side are the length of Pathfinder, 128 that of Path-X.
    Images are generated at the first use, and kept. Pixels are scaled to -1 .. 1.

    Args:
        root: Folder of all data sets, for ``released``.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data. The images are the same for every seed.
        samples: Number of training images.
        held_out: Number of validation images, and of test images.
        side: Width and height of an image in pixels.
        dashes: Dashes of each of the two long paths.
        released: Read the images of the Long Range Arena instead, from this folder below the root,
            such as ``lra/pathfinder32/curv_contour_length_14``, with its ``metadata`` and
            ``imgs``; a tenth validates and a tenth tests, the same for every seed.

    Raises:
        ValueError: An argument is out of range.

    Source: Linsley et al. 2018 (arXiv 1805.08315); Tay et al. 2020 (arXiv 2011.04006).
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 64,
        workers: int = 0,
        seed: int = 0,
        samples: int = 160_000,
        held_out: int = 20_000,
        side: int = 32,
        dashes: int = 14,
        released: str | None = None,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("samples", samples, 1)
        at_least("held_out", held_out, 1)
        at_least("side", side, 16)
        at_least("dashes", dashes, 2)
        self.samples, self.held_out = samples, held_out
        self.side, self.dashes = side, dashes
        self.released = released

    @property
    def source(self) -> str | None:
        """Where the data are; see :attr:`SequenceData.source`."""
        return self.released

    @property
    def facts(self) -> Facts:
        """One step for each pixel, row by row, one channel: the brightness."""
        steps = self.side * self.side
        return Facts(Classes(_CLASSES), length=steps, standardised=(_HALF, _HALF))

    def load(self) -> Splits:
        """Draw or read the images, unless they are kept from an earlier use."""
        if self.released is None:
            key = (_VERSION, self.samples, self.held_out, self.side, self.dashes)
            kept = prepared("pathfinder", key, self._draw)
            rows = torch.arange(len(kept["y"]))
            sizes = [self.samples, self.held_out, self.held_out]
        else:
            folder = data_root(self.root) / self.released
            lists = sorted((folder / "metadata").glob("*.npy"))
            if not lists:
                raise DataError(f"{folder / 'metadata'} has no lists of images, 0.npy and on")
            key = (_VERSION, self.side, *lists)
            kept = prepared("pathfinder", key, lambda: _read(folder, lists, self.side))
            rows = torch.randperm(len(kept["y"]), generator=torch.Generator().manual_seed(0))
            held = max(1, len(rows) // 10)
            sizes = [len(rows) - 2 * held, held, held]
        x, y = torch.from_numpy(kept["x"]).flatten(1).unsqueeze(2), torch.from_numpy(kept["y"])
        return Splits(*(self._held(x[part], y[part]) for part in rows.split(sizes)))

    def read(self, file: Path) -> list[tuple[str, SequenceBatch]]:
        """An image of the same side, bright on black; see :meth:`SequenceData.read`."""
        x = torch.from_numpy(read_image(file, self.side, grey=True)).view(1, -1, 1)
        return [(str(file), self._held(x, torch.zeros(1, dtype=torch.int64))[0])]

    def _held(self, x: Tensor, y: Tensor) -> FixedSequences:
        return FixedSequences(x, y, mean=_HALF, std=_HALF)

    def _draw(self) -> Arrays:
        wanted = self.samples + 2 * self.held_out
        images: list[np.ndarray] = []
        answers: list[np.ndarray] = []
        block = found = 0
        while found < wanted:
            made = draw(np.random.default_rng(block), _BLOCK, side=self.side, dashes=self.dashes)
            block += 1
            images.append(made.x)
            answers.append(made.y)
            found += len(made.y)
            if block > 20 and found < block:
                raise ValueError(f"dashes={self.dashes} leave no room for two paths in an image")
        return {"x": np.concatenate(images)[:wanted], "y": np.concatenate(answers)[:wanted]}


def _read(folder: Path, lists: list[Path], side: int) -> Arrays:
    """Read released images; a line of their lists is folder, file, number, label and more."""
    images: list[np.ndarray] = []
    classes: list[int] = []
    for path in lists:
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
            words = line.split()
            if len(words) < 4 or words[3] not in ("0", "1"):
                raise DataError(f"{path}: line {number} must name an image and its label")
            file = folder / words[0] / words[1]
            if ".." in file.parts or not file.resolve().is_relative_to(folder.resolve()):
                raise DataError(f"{path}: line {number} leaves {folder}")
            images.append(read_image(file, side, grey=True))
            classes.append(int(words[3]))
    if len(images) < 3:
        raise DataError(f"{folder} has {len(images)} images, 3 are needed")
    return {"x": np.stack(images), "y": np.array(classes)}
