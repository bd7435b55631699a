"""A CSV file of measurements over time, cut into windows."""

from __future__ import annotations

import csv
import gzip
from functools import cached_property
from pathlib import Path
from typing import TextIO, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Facts, Horizon
from spikescan.data.gaps import Missing, without_missing
from spikescan.data.memory import Sequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.root import DataError, data_root


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


class Series(SequenceData):
    """Forecast a CSV file: x (B, window, C) are measurements, y (B, horizon, C) the next ones.

    The first line names the columns; a file that ends in .gz is unpacked as it is read. The parts
    follow each other in time. A window of the validation or test part may begin in the part
    before, so that every row of a part is forecast. Each column is shifted and scaled to mean 0
    and standard deviation 1 over the training rows, and errors are in that unit.

    Args:
        path: The file, from the current folder or below the folder of all data sets.
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Windows in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training windows.
        columns: Columns to read and to forecast; without it all but that of the time.
        time: Column of the time, which is not read; without it the first column, when what
            stands in its first row is not a number.
        window: Steps that the forecast is made from.
        horizon: Steps to forecast.
        train: Rows for training, or their share if at most 1.
        val: Rows for validation, or their share if below 1.
        test: Rows for the test, or their share if below 1.
        missing: What happens to values that are missing: "refuse" names the first, "hold" repeats
            the value before, "zero" puts zero.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        *,
        path: str,
        root: str | None = None,
        batch_size: int = 64,
        workers: int = 0,
        seed: int = 0,
        columns: list[str] | None = None,
        time: str | None = None,
        window: int = 96,
        horizon: int = 96,
        train: float = 0.7,
        val: float = 0.1,
        test: float = 0.2,
        missing: Missing = "refuse",
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("window", window, 1)
        at_least("horizon", horizon, 1)
        for name, value in (("train", train), ("val", val), ("test", test)):
            if value <= 0 or (value > 1 and value != int(value)):
                raise ValueError(f"{name} must be a number of rows or a share, got {value}")
        self.path, self.columns, self.time = path, columns, time
        self.window, self.horizon = window, horizon
        self.parts = (train, val, test)
        self.missing: Missing = missing

    @property
    def facts(self) -> Facts:
        """The columns of the file, of which only the first two lines are read for it."""
        names = tuple(name for name, _ in self._chosen)
        return Facts(Horizon(self.horizon, names), length=self.window, inputs=len(names))

    def load(self) -> Splits:
        """Read the file and cut it into windows."""
        values = torch.from_numpy(self._read())
        sizes = [round(p * len(values)) if p <= 1 else int(p) for p in self.parts]
        if sum(sizes) > len(values):
            raise DataError(
                f"{self._file} has {len(values):,} rows, fewer than the {sum(sizes):,} of the "
                "training, validation and test part"
            )
        train = values[: sizes[0]]
        std, mean = torch.std_mean(train, 0, correction=0)
        values = ((values - mean) / torch.where(std > 0, std, 1)).float()
        parts: list[Windows] = []
        end = 0
        for name, size in zip(("training", "validation", "test"), sizes, strict=True):
            rows = values[max(0, end - self.window) : end + size]
            end += size
            # Two, for a share of variance that is explained needs a variance.
            if len(rows) < (least := self.window + self.horizon + 1):
                raise DataError(
                    f"{self._file}: the {name} part has {len(rows):,} rows to read, windows of "
                    f"{self.window} with a horizon of {self.horizon} need at least {least:,}"
                )
            parts.append(Windows(rows, self.window, self.horizon))
        return Splits(*parts)

    @cached_property
    def _file(self) -> Path:
        places = (Path(self.path).expanduser(), data_root(self.root) / self.path)
        for place in places:
            if place.is_file():
                return place
        raise DataError(f"no file {self.path}: looked for {' and '.join(map(str, places))}")

    def _open(self) -> TextIO:
        opener = gzip.open if self._file.suffix == ".gz" else open
        return cast(TextIO, opener(self._file, "rt", encoding="utf-8-sig", newline=""))

    @cached_property
    def _chosen(self) -> list[tuple[str, int]]:
        """Name and position of each column that is read."""
        with self._open() as file:
            lines = csv.reader(file)
            names, first = next(lines, []), next(lines, [])
        if not first:
            raise DataError(f"{self._file} must have a line of names and one of values")
        time = self.time
        if time is None and not _is_number(first[0]):
            time = names[0]
        wanted = [name for name in names if name != time] if self.columns is None else self.columns
        for name in (*wanted, *([] if time is None else [time])):
            if name not in names:
                raise DataError(f"{self._file} has no column {name!r}, only {', '.join(names)}")
        if not wanted:
            raise DataError(f"{self._file} has no column to forecast")
        return [(name, names.index(name)) for name in wanted]

    def _read(self) -> NDArray[np.float64]:
        """Return the values (T, C), what is missing filled in as told."""
        rows: list[list[float]] = []
        with self._open() as file:
            lines = csv.reader(file)
            width = len(next(lines))
            for cells in lines:
                if not cells:
                    continue
                if len(cells) != width:
                    raise DataError(
                        f"{self._file}: line {lines.line_num} has {len(cells)} cells, expected "
                        f"{width}"
                    )
                rows.append(
                    [self._value(cells[at], name, lines.line_num) for name, at in self._chosen]
                )
        values = torch.tensor(rows, dtype=torch.float64)
        return without_missing(values, self.missing, str(self._file)).numpy()

    def _value(self, cell: str, column: str, line: int) -> float:
        text = cell.strip()
        try:
            value = float(text or "nan")
        except ValueError:
            raise DataError(
                f"{self._file}: line {line}, column {column!r} must be a number, got {cell!r}"
            ) from None
        if self.missing == "refuse" and not np.isfinite(value):
            raise DataError(
                f"{self._file}: line {line}, column {column!r} has no value ({cell!r}); mend it, "
                "or say missing='hold' or missing='zero'"
            )
        return value


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True
