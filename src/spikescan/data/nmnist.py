"""N-MNIST: digits before an event camera that moves."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import torch

from spikescan.data.archive import members
from spikescan.data.camera import Camera
from spikescan.data.events import Events, read_bs2
from spikescan.data.facts import Facts
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.parts import chosen
from spikescan.data.prepared import Arrays, prepared
from spikescan.data.root import DataError
from spikescan.data.sources import brought
from spikescan.data.split import stratified_split

_SIDE = 34
_VERSION = 1
_LISTS = ("train1K.txt", "test100.txt")
_LASTS = 340  # milliseconds that every recording is shorter than


class NMNIST(SequenceData):
    """Digits seen by an event camera: x (B, T, channels) counts of events with lengths, 10 classes.

    MNIST's images on a screen, before a camera of 34 x 34 pixels that moves three times in about
    308 ms; a pixel gives an event when it gets brighter or darker. These are the 1,000 training
    and 100 test recordings that the authors of SLAYER give as an example. A stratified tenth of
    the training recordings is for validation, the same for every seed.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 prepares them in the main process.
        seed: Seed of the order of the training data.
        step: Microseconds of a step, whose events are counted; 0 to count events instead.
        count: Events of a step where ``step`` is 0; 1 reads them one by one.
        pool: Pixels of a square that are one channel, in each direction; 2 makes 17 x 17.
        max_length: Steps after which a recording is cut off; without it none is.

    Raises:
        ValueError: An argument is out of range.

    Source: Orchard et al. 2015, Frontiers in Neuroscience 9:437.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        step: int = 1_000,
        count: int = 0,
        pool: int = 1,
        max_length: int | None = None,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        self.camera = Camera(size=_SIDE, step=step, count=count, pool=pool)
        if max_length is not None:
            at_least("max_length", max_length, 1)
        # Recordings have fewer than 10,000 events.
        whole = -(-1_000 * _LASTS // step) if step else -(-10_000 // count)
        self.max_length = whole if max_length is None else max_length

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return "nmnist"

    @property
    def facts(self) -> Facts:
        """A channel for each polarity and pixel, or square of pixels: darker ones first."""
        return self.camera.facts(tuple("0123456789"), self.max_length)

    def load(self) -> Splits:
        """Read the recordings that the two lists name."""
        place = brought("nmnist", self.root)
        kept = prepared("nmnist", (_VERSION, place), lambda: _read(place))
        whole = self.camera.sequences(kept, self.max_length)
        train = torch.from_numpy(kept["part"] == 0).nonzero()[:, 0]
        test = torch.from_numpy(kept["part"] == 1).nonzero()[:, 0]
        rest, held = stratified_split(whole.y[train], 0.1)
        return Splits(*(chosen(whole, rows) for rows in (train[rest], train[held], test)))


def _read(place: Path) -> Arrays:
    """Return the events of all listed recordings, and each one's size, class and part."""
    files = {
        PurePosixPath(path).name: content
        for path, content in members(place, suffix="", largest=1 << 22)
    }
    recordings: list[Events] = []
    classes: list[int] = []
    parts: list[int] = []
    for part, name in enumerate(_LISTS):
        if name not in files:
            raise DataError(f"{place} has no {name}")
        lines = files[name].decode("ascii", errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if len(words) != 2 or not words[1].isdigit() or int(words[1]) > 9:
                raise DataError(
                    f"{place}: {name}: line {number} must be a sample and a digit, got {line!r}"
                )
            if (file := f"{words[0]}.bs2") not in files:
                raise DataError(f"{place} has no {file}, which {name} names")
            recordings.append(read_bs2(files[file], f"{place}: {file}"))
            classes.append(int(words[1]))
            parts.append(part)
    if not recordings:
        raise DataError(f"{place}: its lists name no recordings")
    return {
        "time": np.concatenate([events.time for events in recordings]),
        "channel": np.concatenate([events.channel for events in recordings]),
        "sizes": np.array([len(events.time) for events in recordings]),
        "y": np.array(classes),
        "part": np.array(parts),
    }
