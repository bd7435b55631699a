"""DVS128 Gesture: hand movements before an event camera."""

from __future__ import annotations

import csv
import io
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from spikescan.data.aedat import read_aedat
from spikescan.data.archive import members
from spikescan.data.camera import Camera
from spikescan.data.facts import Facts
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.parts import chosen
from spikescan.data.prepared import Arrays, prepared
from spikescan.data.root import DataError
from spikescan.data.sources import brought

_SIDE = 128
_CLASSES = (
    *("hand clapping", "right hand wave", "left hand wave"),
    *("right arm clockwise", "right arm counter clockwise"),
    *("left arm clockwise", "left arm counter clockwise"),
    *("arm roll", "air drums", "air guitar", "other gestures"),
)
_LISTS = ("trials_to_train.txt", "trials_to_test.txt")
_COLUMNS = ["class", "startTime_usec", "endTime_usec"]
_VERSION = 1


class DVSGesture(SequenceData):
    """Hand movements seen by an event camera: x (B, T, channels) counts of events with lengths, 11
    classes.

    29 persons moved hands and arms before a camera of 128 x 128 pixels, under three lights, about
    six seconds for each of 11 gestures; a pixel gives an event when it gets brighter or darker. The
    test persons are the publisher's; of the others every eighth, but at least one, is for
    validation, the same for every seed. All events are kept in the cache.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 prepares them in the main process.
        seed: Seed of the order of the training data.
        step: Microseconds of a step, whose events are counted; 0 to count events instead.
        count: Events of a step where ``step`` is 0; 1 reads them one by one.
        pool: Pixels of a square that are one channel, in each direction; 4 makes 32 x 32.
        max_length: Steps after which a gesture is cut off.

    Raises:
        ValueError: An argument is out of range.

    Source: Amir et al. 2017, CVPR, A Low Power, Fully Event-Based Gesture Recognition System.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 16,
        workers: int = 0,
        seed: int = 0,
        step: int = 20_000,
        count: int = 0,
        pool: int = 4,
        max_length: int = 400,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        self.camera = Camera(size=_SIDE, step=step, count=count, pool=pool)
        at_least("max_length", max_length, 1)
        self.max_length = max_length

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return "dvs_gesture"

    @property
    def facts(self) -> Facts:
        """A channel for each polarity and pixel, or square of pixels: darker ones first."""
        return self.camera.facts(_CLASSES, self.max_length)

    def load(self) -> Splits:
        """Read the recordings that the two lists name, and cut them into gestures."""
        place = brought("dvs_gesture", self.root)
        kept = prepared("dvs_gesture", (_VERSION, place), lambda: _read(place))
        whole = self.camera.sequences(kept, self.max_length)
        person, test = kept["person"], kept["test"].astype(bool)
        held = np.isin(person, np.unique(person[~test])[::-1][::8])
        kinds = (~test & ~held, ~test & held, test)
        return Splits(*(chosen(whole, torch.from_numpy(kind).nonzero()[:, 0]) for kind in kinds))


def _read(place: Path) -> Arrays:
    """The events of all gestures, and each one's size, class, person and part."""
    told = {
        PurePosixPath(path).name: content.decode("ascii", errors="replace")
        for suffix in (".csv", ".txt")
        for path, content in members(place, suffix=suffix, largest=1 << 20)
    }
    part: dict[str, int] = {}
    for number, name in enumerate(_LISTS):
        if name not in told:
            raise DataError(f"{place} has no {name}")
        part |= {line.strip(): number for line in told[name].splitlines() if line.strip()}
    times: list[np.ndarray] = []
    channels: list[np.ndarray] = []
    rows: list[tuple[int, int, int, int]] = []
    seen: set[str] = set()
    for path, content in members(place, suffix=".aedat", largest=1 << 30):
        file = PurePosixPath(path).name
        if file not in part:
            continue
        if not (file.startswith("user") and file[4:6].isdigit()):
            raise DataError(f"{place}: {file} must begin with user and the person's number")
        labels = f"{file.removesuffix('.aedat')}_labels.csv"
        if labels not in told:
            raise DataError(f"{place} has no {labels}")
        events = read_aedat(content, f"{place}: {file}", size=_SIDE)
        for number, begin, end in _gestures(told[labels], f"{place}: {labels}"):
            first, last = np.searchsorted(events.time, (begin, end))
            if last == first:
                raise DataError(f"{place}: {file} has no event from {begin} to {end} us")
            times.append(events.time[first:last] - np.int32(begin))
            channels.append(events.channel[first:last])
            rows.append((int(last - first), number, int(file[4:6]), part[file]))
        seen.add(file)
    if absent := sorted(part.keys() - seen):
        raise DataError(f"{place} has no {absent[0]}, which its lists name")
    if not rows:
        raise DataError(f"{place}: its lists name no recordings")
    names = ("sizes", "y", "person", "test")
    return {
        "time": np.concatenate(times),
        "channel": np.concatenate(channels),
        **dict(zip(names, np.array(rows, np.int64).T.copy(), strict=True)),
    }


def _gestures(text: str, name: str) -> list[tuple[int, int, int]]:
    """Class from 0 on, first and last microsecond of each gesture of a recording."""
    lines = csv.reader(io.StringIO(text, newline=""))
    if (head := [cell.strip() for cell in next(lines, [])]) != _COLUMNS:
        raise DataError(f"{name} must have the columns {', '.join(_COLUMNS)}, has {head}")
    found: list[tuple[int, int, int]] = []
    for row in lines:
        if not row:
            continue
        try:
            number, begin, end = (int(cell) for cell in row)
        except ValueError:
            number, begin, end = 0, 0, 0
        if not (1 <= number <= len(_CLASSES) and 0 <= begin < end < 1 << 31):
            raise DataError(
                f"{name}: line {lines.line_num} must be a class of 1 .. {len(_CLASSES)}, a first "
                f"and a last microsecond, got {row}"
            )
        found.append((number - 1, begin, end))
    return found
