"""A CSV file, or a table of pandas, of measurements over time, cut into windows."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.clock import put_forward
from spikescan.data.facts import Facts, Horizon
from spikescan.data.frame import ENDS, Frame
from spikescan.data.gaps import Missing, without_missing
from spikescan.data.memory import Sequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.own.csv import seconds
from spikescan.data.own.table import Table
from spikescan.data.root import DataError, content_of, find_file

_SET_BACK = 0.01
"""Share of rows that may be earlier than the one before."""
_OFF = 0.01
"""Share by which the pace of a file may be off from that of the data that were learned from."""

FloatArray = npt.NDArray[np.float64]


class Windows(Sequences):
    """All windows of a series and what follows each of them; nothing is copied before a batch.

    Args:
        values: The series (T, C) float32.
        window: Steps of a window.
        horizon: Steps that follow it.
    """

    def __init__(self, values: Tensor, window: int, horizon: int) -> None:
        super().__init__(values[window:].unfold(0, horizon, 1).transpose(1, 2))
        self.values = values
        self.x = values.unfold(0, window, 1).transpose(1, 2)

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        """Return these windows as a batch; the epoch has no influence."""
        return SequenceBatch(self.x[rows], self.y[rows])


class Survey(NamedTuple):
    """What was found in a file."""

    rows: int
    columns: list[str]
    every: float | None
    """Seconds from row to row, where a column tells the time."""
    missing: int
    gaps: int
    """Rows that come late by a row or more."""


class Series(SequenceData):
    """Forecast a table: x (B, window, C) are measurements, y (B, horizon, C) the next ones.

    The first line of a CSV file names the columns; one that ends in .gz is unpacked as it is read.
    A file that ends in .h5 is a table in pandas' fixed format, such as METR-LA's. The parts follow
    each other in time. A window of the validation or test part may begin in the part before, so
    that every row of a part is forecast. Values stay in their own unit: mean and
    standard deviation of each column are measured over the training rows, for the network to keep.

    Args:
        path: The file, from the current folder or below the folder of all data sets.
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Windows in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training windows.
        columns: Columns to read and to forecast; without it all but that of the time.
        time: Column of the time, which is not forecast; without it one called time, date,
            datetime or timestamp, or the first column, when it is an index without a name or what
            stands in its first row is not a number.
        window: Steps that the forecast is made from.
        horizon: Steps to forecast.
        train: Rows for training, or their share if at most 1.
        val: Rows for validation, or their share if below 1.
        test: Rows for the test, or their share if below 1.
        apart: Whether each column goes through the network by itself, as a series of its own;
            otherwise all columns are read together, and each forecast may use all of them.
        missing: What happens to values that are missing: "refuse" names the first, "hold" repeats
            the value before, "zero" puts zero.
        header: Whether the first line names the columns; otherwise they are called by their
            number, from 0, as suits the exchange, electricity, solar and traffic files of the
            field.
        every: Seconds from row to row of the files to predict from; without it those of the
            file, where it tells the time. A run keeps them.

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
        apart: bool = True,
        missing: Missing = "refuse",
        header: bool = True,
        every: float | None = None,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("window", window, 1)
        at_least("horizon", horizon, 1)
        for name, value in (("train", train), ("val", val), ("test", test)):
            if value <= 0 or (value > 1 and value != int(value)):
                raise ValueError(f"{name} must be a number of rows or a share, got {value}")
        self.path, self.columns, self.time = path, columns, time
        self.window, self.horizon, self.apart = window, horizon, apart
        self.parts = (train, val, test)
        self.missing: Missing = missing
        self.header, self.every = header, every

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return self.path

    @property
    def facts(self) -> Facts:
        """The columns, for which the file is read unless they are given."""
        names = tuple(self._channels)
        return Facts(
            Horizon(self.horizon, names, self.apart),
            length=self.window,
            inputs=len(names),
            channels=names,
            scaled=True,
        )

    def known(self) -> dict[str, Any]:
        """The columns and the pace; see :meth:`SequenceData.known`."""
        return {"columns": self._channels, "every": self.every or _pace(self._times(self._table))}

    def members(self) -> list[tuple[str, str, str, str]]:
        """The file and its content; see :meth:`SequenceData.members`."""
        return [(self._file.name, "", "", content_of(self._file))]

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (C,) float32 of each column over the training rows."""
        std, mean = torch.std_mean(self._values[: self._sizes[0]], 0, correction=0)
        return mean.float(), std.float()

    def load(self) -> Splits:
        """Read the file and cut it into windows; rows that come late are told."""
        if gaps := self.survey().gaps:
            self.notes = [f"{self._file.name}: {_late(gaps)}; windows run over such gaps"]
            print(self.notes[0], flush=True)
        return self.windows(self.window, self.horizon)

    def windows(self, window: int, horizon: int) -> Splits:
        """The windows of each part, and what follows them.

        Raises:
            DataError: The file is damaged, or too short for such windows.
        """
        values, sizes = self._values.float(), self._sizes
        if sum(sizes) > len(values):
            raise DataError(
                f"{self._file} has {len(values):,} rows, fewer than the {sum(sizes):,} of the "
                "training, validation and test part"
            )
        parts: list[Windows] = []
        end = 0
        for name, size in zip(("training", "validation", "test"), sizes, strict=True):
            rows = values[max(0, end - window) : end + size]
            end += size
            # Two, for a share of variance that is explained needs a variance.
            if len(rows) < (least := window + horizon + 1):
                raise DataError(
                    f"{self._file}: the {name} part has {len(rows):,} rows to read, windows of "
                    f"{window} with a horizon of {horizon} need at least {least:,}"
                )
            parts.append(Windows(rows, window, horizon))
        return Splits(*parts)

    def read(self, file: Path) -> list[tuple[str, SequenceBatch]]:
        """The last window of a file; see :meth:`SequenceData.read`."""
        table = self._open(file)
        values = self._read(table, self._channels).float()
        if len(values) < self.window:
            raise DataError(
                f"{file} has {len(values):,} rows, fewer than the {self.window} of a window"
            )
        self._check_pace(table)
        y = torch.zeros(1, self.horizon, values.shape[1])
        return [(str(file), SequenceBatch(values[None, -self.window :], y))]

    def survey(self) -> Survey:
        """What was found, for a person to read."""
        absent = int(np.isnan(self._table.values(self._names, "zero")).sum())
        times = self._times(self._table)
        every = _pace(times)
        gaps = 0 if every is None else self._gaps(self._table, every)[0]
        return Survey(len(self._table.rows), self._names, every, absent, gaps)

    @cached_property
    def _sizes(self) -> list[int]:
        """Rows of each part."""
        rows = len(self._values)
        sizes = [round(p * rows) if p <= 1 else int(p) for p in self.parts]
        if max(self.parts) <= 1 and sum(self.parts) < 1 + 1e-9:
            sizes[2] = min(sizes[2], rows - sizes[0] - sizes[1])  # all three may be rounded up
        return sizes

    @cached_property
    def _file(self) -> Path:
        return find_file(self.path, self.root)

    @cached_property
    def _table(self) -> Table | Frame:
        return self._open(self._file)

    def _open(self, file: Path) -> Table | Frame:
        if file.suffix.lower() in ENDS:
            return Frame(file)
        table = Table(file, header=self.header)
        if not self.header and table.names != [*map(str, range(len(table.names)))]:
            raise DataError(
                f"{file}: the first line is {', '.join(table.names[:3])}, which are no numbers; "
                "say header=true"
            )
        return table

    @property
    def _channels(self) -> list[str]:
        return self._names if self.columns is None else self.columns

    @cached_property
    def _names(self) -> list[str]:
        """The columns that are read."""
        table = self._table
        time = table.time_column() if self.time is None else self.time
        names = [n for n in table.names if n != time] if self.columns is None else self.columns
        table.require([*names, *([] if time is None else [time])])
        if not names:
            raise DataError(f"{self._file} has no column to forecast")
        return names

    @cached_property
    def _values(self) -> Tensor:
        return self._read(self._table, self._names)

    def _read(self, table: Table | Frame, names: list[str]) -> Tensor:
        """The values (T, C) float64, what is missing filled in as told."""
        table.require(names)
        self._check_order(table)
        values = torch.from_numpy(table.values(names, self.missing))
        if (beyond := (values.abs() > torch.finfo(torch.float32).max).any(0)).any():
            raise DataError(
                f"{table.path}: column {names[int(beyond.int().argmax())]!r} holds numbers beyond "
                "float32's, 3.4e38"
            )
        return without_missing(values, self.missing, str(table.path))

    def _times(self, table: Table | Frame) -> FloatArray | None:
        """The time of each row in seconds, where a column tells it."""
        name = self.time or table.time_column()
        return None if name is None or name not in table.names else seconds(table.column(name))

    def _check_pace(self, table: Table | Frame) -> None:
        """Refuse a last window at another pace than that of the data that were learned from."""
        times = self._times(table)
        if self.every is None or times is None:
            return
        read = times[-self.window :]
        pace = _pace(read)
        if pace and abs(pace - self.every) > _OFF * self.every:
            raise DataError(
                f"{table.path}: a row every {pace:g} s, the network learned from one every "
                f"{self.every:g} s"
            )
        gaps, forward = self._gaps(table, self.every, self.window)
        if gaps:
            raise DataError(
                f"{table.path}, the last {self.window} rows: {_late(gaps)}; put in what is missing"
            )
        if forward:
            self.notes.append(
                f"{table.path}: an hour is skipped before {forward[0]}, taken for a clock that was "
                "put forward; if rows are missing there, put them in"
            )

    def _gaps(
        self, table: Table | Frame, every: float, last: int | None = None
    ) -> tuple[int, list[str]]:
        """How many of the last rows come late by a row or more, without those before which the
        clock was put forward, which are told by their time stamps."""
        name, times = self.time or table.time_column(), self._times(table)
        if times is None or name is None:
            return 0, []
        start = 0 if last is None else max(0, len(times) - last)
        late = np.flatnonzero(np.diff(times[start:]) > 1.5 * every) + start
        cells = table.column(name)
        forward = [cells[i + 1] for i in late if put_forward(cells[i], cells[i + 1], every)]
        return len(late) - len(forward), forward

    def _check_order(self, table: Table | Frame) -> None:
        """Refuse rows that are not in the order of time, where a column tells it.

        A clock that is set back once in a while, as in autumn, does not make them so.
        """
        name = self.time or table.time_column()
        if name is None or name not in table.names:
            return
        cells, times = table.column(name), self._times(table)
        if times is None or len(times) < 2:
            return
        steps = np.diff(times)
        back = steps < 0
        once = back.sum() == 1 and steps.min() > -3600  # by an hour, in which a row has passed
        if back.mean() > _SET_BACK and not once:
            i = int(back.argmax())
            raise DataError(
                f"{table.path}: {table.row} {table.lines[i + 1]}, column {name!r} goes back from "
                f"{cells[i]} to {cells[i + 1]}; sort the rows by time"
            )


def _pace(times: FloatArray | None) -> float | None:
    """Seconds from row to row, as most have it."""
    return None if times is None or len(times) < 2 else float(np.median(np.diff(times)))


def _late(gaps: int) -> str:
    return f"{gaps:,} rows come late by a row or more" if gaps > 1 else "a row comes late"
