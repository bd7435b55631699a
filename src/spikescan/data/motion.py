"""Activities from the motion sensors of a phone and a watch."""

from __future__ import annotations

import csv
import io
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikescan.data.archive import members
from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Classes, Facts, StepClasses
from spikescan.data.memory import Sequences, StepSequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.parts import chosen
from spikescan.data.prepared import Arrays, prepared
from spikescan.data.root import DataError
from spikescan.data.sources import brought

_CLASSES = ("SEATED", "STANDING_UP", "WALKING", "TURNING", "SITTING_DOWN")
_CHANNELS = ("x_acc", "y_acc", "z_acc", "x_gyro", "y_gyro", "z_gyro")
_COLUMNS = [*_CHANNELS, "timestamp", "label"]
_DEVICES = {"phone": "sp", "watch": "sw"}
_VERSION = 1


class Motion(SequenceData):
    """What does a person do? x (B, window, 6) from accelerometer and gyroscope, 5 activities.

    23 persons stood up, walked three metres, turned, walked back, turned and sat down, again and
    again, with a phone in the pocket and a watch on the wrist; both measure about 100 times a
    second. The class of a window is the activity at its last step: what is being done now, from
    the seconds before. No person is in two parts: of the persons, in an order that is the same for
    every seed, a fifth is for the test and a tenth for validation. The network shifts and scales
    each channel to mean 0 and standard deviation 1 over the training part.

    Whole recordings (B, T, 6) are of different length, and their class is asked for at every step:
    y (B, T), what is being done now, from all that came before.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data.
        device: Whose sensors, "phone" or "watch".
        window: Steps of a window.
        stride: Steps between the ends of consecutive windows of a recording.
        whole: Read whole recordings in place of windows.
        max_length: Steps after which a whole recording is cut off.

    Raises:
        ValueError: An argument is out of range.

    Source: Matey-Sanz et al. 2023, Scientific Data, doi:10.5281/zenodo.8398688.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 64,
        workers: int = 0,
        seed: int = 0,
        device: Literal["phone", "watch"] = "phone",
        window: int = 200,
        stride: int = 20,
        whole: bool = False,
        max_length: int = 2_048,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        if device not in _DEVICES:
            raise ValueError(f"device must be 'phone' or 'watch', got {device!r}")
        at_least("window", window, 1)
        at_least("stride", stride, 1)
        at_least("max_length", max_length, 1)
        self.device = device
        self.window = window
        self.stride = stride
        self.whole, self.max_length = whole, max_length

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return "har"

    @property
    def facts(self) -> Facts:
        """Three axes of acceleration and three of rotation."""
        return Facts(
            StepClasses(_CLASSES) if self.whole else Classes(_CLASSES),
            length=self.max_length if self.whole else self.window,
            inputs=len(_CHANNELS),
            rate=100,
            channels=_CHANNELS,
            scaled=True,
        )

    def load(self) -> Splits:
        """Read the recordings of the device, and split them by person."""
        place = brought("har", self.root)
        kept = prepared(
            "har", (_VERSION, place, self.device), lambda: _read(place, _DEVICES[self.device])
        )
        x, y, sizes, person = (torch.from_numpy(kept[n]) for n in ("x", "y", "sizes", "person"))
        persons = sorted(set(person.tolist()))
        np.random.RandomState(0).shuffle(persons)  # its stream never changes
        test, val = max(1, len(persons) // 5), max(1, len(persons) // 10)
        if len(persons) < 3:
            raise DataError(f"{place} has recordings of {len(persons)} persons, 3 are needed")
        groups = (persons[test + val :], persons[test : test + val], persons[:test])
        if self.whole:
            whole = StepSequences(
                *([piece[: self.max_length] for piece in v.split(sizes.tolist())] for v in (x, y))
            )
            return Splits(
                *(
                    chosen(whole, torch.isin(person, torch.tensor(group)).nonzero()[:, 0])
                    for group in groups
                )
            )
        starts = sizes.cumsum(0) - sizes
        parts: list[_Windows] = []
        for group in groups:
            theirs = torch.isin(person, torch.tensor(group))
            begins = [
                torch.arange(start, start + size - self.window + 1, self.stride)
                for start, size in zip(starts[theirs].tolist(), sizes[theirs].tolist(), strict=True)
                if size >= self.window
            ]
            if not begins:
                raise DataError(
                    f"{place}: no recording of person {group[0]} has {self.window} steps; give a "
                    "shorter window"
                )
            parts.append(_Windows(x, y, torch.cat(begins), self.window))
        return Splits(*parts)


class _Windows(Sequences):
    """Windows of joined recordings by their first rows; nothing is copied before a batch."""

    def __init__(self, x: Tensor, y: Tensor, begins: Tensor, window: int) -> None:
        super().__init__(y[begins + window - 1])
        self.x, self.begins, self.window = x, begins, window

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        steps = self.begins[rows, None] + torch.arange(self.window)
        return SequenceBatch(self.x[steps], self.y[rows])


def _read(place: Path, device: str) -> Arrays:
    """Return all recordings end to end: ``x`` (total, 6), ``y`` (total,); each one's ``sizes``
    and ``person``."""
    found: dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]] = {}
    for path, content in members(place, suffix=f"_{device}.csv", largest=1 << 24):
        name = PurePosixPath(path).name
        if not name[1:3].isdigit():
            raise DataError(f"{place}: {path} must begin with s and the person's number")
        found[name] = _recording(content, f"{place}: {path}")
    if not found:
        raise DataError(f"{place} has no recordings *_{device}.csv")
    names = sorted(found)
    return {
        "x": np.concatenate([found[name][0] for name in names]),
        "y": np.concatenate([found[name][1] for name in names]),
        "sizes": np.array([len(found[name][1]) for name in names]),
        "person": np.array([int(name[1:3]) for name in names]),
    }


def _recording(content: bytes, name: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    lines = csv.reader(io.StringIO(content.decode("utf-8", errors="replace"), newline=""))
    if (head := next(lines, [])) != _COLUMNS:
        raise DataError(f"{name} must have the columns {', '.join(_COLUMNS)}, has {head}")
    values: list[list[float]] = []
    classes: list[int] = []
    for row in lines:
        try:
            numbers = [float(cell) for cell in row[:6]]
            classes.append(_CLASSES.index(row[7]))
            if len(row) != 8 or not np.isfinite(numbers).all():
                raise ValueError("a value is missing")
        except (ValueError, IndexError) as error:
            raise DataError(f"{name}: line {lines.line_num} is damaged: {error}") from error
        values.append(numbers)
    if not values:
        raise DataError(f"{name} has no rows")
    return np.array(values, np.float32), np.array(classes)
