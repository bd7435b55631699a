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
from spikescan.data.clock import Clock, clock_of, comes_early, late
from spikescan.data.facts import Facts, Horizon
from spikescan.data.frame import ENDS, Frame
from spikescan.data.gaps import Missing, without_missing
from spikescan.data.memory import Windows
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.own.columns import (
    markers,
    measured,
    require_fresh,
    require_in_range,
    require_no_total,
    require_one_series,
    require_whole,
)
from spikescan.data.own.detect import of_classes
from spikescan.data.own.lines import require_encoding
from spikescan.data.own.marks import Decimal
from spikescan.data.own.table import Table
from spikescan.data.root import DataError, content_of, find_file
from spikescan.data.time_columns import time_columns
from spikescan.data.times import IGNORE, spell

FloatArray = npt.NDArray[np.float64]


class Survey(NamedTuple):
    """What was found in a file."""

    rows: int
    columns: list[str]
    every: float | None
    """Seconds from row to row, where a column tells the time."""
    missing: int
    gaps: int
    """Rows that come late by a row or more."""
    notes: list[str]
    """What else a person should know of it, a line each."""
    weekdays: bool
    """Whether there is a row a day, and none on Saturdays and Sundays."""


class _Opened(NamedTuple):
    """A table, and when its rows were taken."""

    table: Table | Frame
    clock: Clock | None
    notes: list[str]


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
        columns: Columns to read and to forecast; without it all but that of the time, and those
            that number the rows, count, or stand still.
        time: Column of the time, which is not forecast; without it one called time, date,
            datetime or timestamp, or one whose cells are dates. One of the day and one of its time
            are read together.
        time_format: How the time is written, as ``strptime`` has it, such as "%d/%m/%Y", where the
            file does not tell days from months; "ignore" leaves it unread, for rows that follow
            each other as they stand.
        window: Steps that the forecast is made from.
        horizon: Steps to forecast.
        train: Rows for training, or their share if at most 1.
        val: Rows for validation, or their share if below 1.
        test: Rows for the test, or their share if below 1.
        apart: Whether each column goes through the network by itself, as a series of its own;
            otherwise all columns are read together, and each forecast may use all of them.
        missing: What happens to values that are missing: "refuse" names the first, "hold" repeats
            the value before, "zero" puts zero.
        decimal: Decimal mark of numbers; the other one of "." and "," then separates thousands.
            Without it a comma beside semicolons and tabs is one, and what may be read in two ways
            is refused.
        na_values: What stands for no value beside an empty cell, NA, NaN and the like: numbers
            such as -999, or words. Without it a number that seems to is refused.
        skip: Lines above that of the names, which are no part of the table.
        encoding: Encoding of a file that is not UTF-8, such as "cp1252" or "latin-1".
        header: Whether the first line names the columns; otherwise they are called by their
            number, from 0, as suits the exchange, electricity, solar and traffic files of the
            field.
        every: Seconds from row to row of the files to predict from, 0 for any; without it those of
            the file, where it tells the time. A run keeps them.

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
        time_format: str | None = None,
        window: int = 96,
        horizon: int = 96,
        train: float = 0.7,
        val: float = 0.1,
        test: float = 0.2,
        apart: bool = True,
        missing: Missing = "refuse",
        decimal: Decimal | None = None,
        na_values: list[float | str] | None = None,
        skip: int = 0,
        encoding: str | None = None,
        header: bool = True,
        every: float | None = None,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("window", window, 1)
        at_least("horizon", horizon, 1)
        for name, value in (("train", train), ("val", val), ("test", test)):
            if value <= 0 or (value > 1 and value != int(value)):
                raise ValueError(f"{name} must be a number of rows or a share, got {value}")
        self.path, self.columns = path, columns
        self.time, self.time_format = time, time_format
        self.window, self.horizon, self.apart = window, horizon, apart
        self.parts = (train, val, test)
        self.missing: Missing = missing
        self.decimal: Decimal | None = decimal
        self.na_values = na_values
        at_least("skip", skip, 0)
        require_encoding(encoding)
        self.skip, self.encoding = skip, encoding
        self.header, self.every = header, every

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return self.path

    @property
    def facts(self) -> Facts:
        """The columns, for which the file is read unless they are given."""
        names = tuple(self._channels)
        if self.columns is None:
            self._check_length()
        return Facts(
            Horizon(self.horizon, names, self.apart),
            length=self.window,
            inputs=len(names),
            channels=names,
            scaled=True,
        )

    def known(self) -> dict[str, Any]:
        """The columns, the pace, and how times are written; see :meth:`SequenceData.known`."""
        every, form = self.every, self.time_format
        if self.columns is None or every is None:
            clock = self._opened.clock
            if clock is not None:
                every, form = every or clock.every, clock.times.form
        return {
            "columns": self._channels,
            "every": every or 0.0,  # which a run keeps, so that the file is not asked again
            **({} if form is None else {"time_format": form}),
        }

    def members(self) -> list[tuple[str, str, str, str]]:
        """The file and its content; see :meth:`SequenceData.members`."""
        return [(self._file.name, "", "", content_of(self._file))]

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (C,) float32 of each column over the training rows."""
        std, mean = torch.std_mean(self._values[: self._sizes[0]], 0, correction=0)
        return mean.float(), std.float()

    def load(self) -> Splits:
        """Read the file and cut it into windows; what was done to its rows, and which columns are
        left out, is told."""
        splits = self.windows(self.window, self.horizon)
        self.notes = self._found()
        if gaps := self._gaps():
            self.notes.append(f"{self._file.name}: {late(gaps)}; windows run over such gaps")
        for note in self.notes:
            print(note, flush=True)
        return splits

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
        opened = self._open(file, options=False)
        opened.table.require(self._channels)
        values = opened.table.values(self._channels, "zero")
        require_no_total(opened.table, values)
        if self.missing == "refuse":
            require_whole(opened.table, self._channels, values[-self.window :])
            values = values[-self.window :]
        require_fresh(opened.table, self._channels, values[-self.window :])
        odd = markers(opened.table, self._channels, values[-self.window :], refused=False)
        values = self._finished(opened.table, self._channels, values).float()
        if len(values) < self.window:
            raise DataError(
                f"{file} has {len(values):,} rows, fewer than the {self.window} of a window"
            )
        self.notes += opened.notes + odd
        self.ahead = {}
        if opened.clock is not None:
            every = self.every or opened.clock.every
            if every:
                self.notes += opened.clock.check_pace(every, self.window)
            self.ahead = opened.clock.ahead(every, self.horizon, self.window)
        elif self.every and self.time_format != IGNORE:
            self.notes.append(
                f"{file}: no column tells the time; its rows are taken to be {spell(self.every)} "
                "apart, the last one newest"
            )
        y = torch.zeros(1, self.horizon, values.shape[1])
        return [(str(file), SequenceBatch(values[None, -self.window :], y))]

    def survey(self) -> Survey:
        """What was found, for a person to read."""
        table, clock, _ = self._opened
        notes = self._found()
        if clock is not None and clock.times.moments:
            first, last = clock.times.moments[0], clock.times.moments[-1]
            notes.insert(0, f"from {first.isoformat(' ')} to {last.isoformat(' ')}")
        absent = int((~np.isfinite(self._chosen[1])).sum())
        every = None if clock is None else clock.every
        weekdays = clock is not None and clock.weekdays
        return Survey(len(table.rows), self._names, every, absent, self._gaps(), notes, weekdays)

    def _found(self) -> list[str]:
        """What was done to rows, which come early, and which columns are left out."""
        notes = [note.replace(str(self._file), self._file.name) for note in self._opened.notes]
        clock = self._opened.clock
        if clock is not None and clock.every and (early := clock.early(clock.every)):
            notes.append(f"{self._file.name}: {comes_early(early)}, and each is taken for one step")
        notes += self._chosen[2]
        table = self._opened.table
        if isinstance(table, Table) and self.columns is None and (why := of_classes(table)):
            notes.append(why)
        return notes

    def _gaps(self) -> int:
        clock = self._opened.clock
        return 0 if clock is None or clock.every is None else len(clock.gaps(clock.every)[0])

    def _check_length(self) -> None:
        """Refuse windows that are longer than the file, before a network is built for them."""
        rows, least = len(self._opened.table.rows), self.window + self.horizon + 1
        if rows < least:
            raise DataError(
                f"{self._file} has {rows:,} rows, windows of {self.window:,} with a horizon of "
                f"{self.horizon:,} need at least {least:,} in each part"
            )

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
    def _opened(self) -> _Opened:
        return self._open(self._file)

    def _open(self, file: Path, *, options: bool = True) -> _Opened:
        """Read a table and the times of its rows; ``options`` can be given, or not.

        Raises:
            DataError: the file is damaged, its times cannot be read, or do not rise.
        """
        notes: list[str] = []
        if file.suffix.lower() in ENDS:
            table: Table | Frame = Frame(file, na_values=self.na_values)
        else:
            table = Table(
                file,
                header=self.header,
                decimal=self.decimal,
                na_values=self.na_values,
                skip=self.skip,
                encoding=self.encoding,
            )
            notes += table.notes
            if not self.header and table.named:
                raise DataError(
                    f"{file}: the first line is {', '.join(table.names[:3])}, which are no numbers",
                    "; say --data.header true",
                )
            if self.header and not table.named:
                notes.append(
                    f"{file}: the first line holds values, no names; columns are called by their "
                    "number, from 0"
                )
        try:
            several = require_one_series(table, self.columns or ())
        except DataError as error:
            why = of_classes(table) if isinstance(table, Table) and options else None
            raise (DataError(str(error), f"; {why}") if why else error) from None
        notes += [] if several is None else [several]
        clock = clock_of(table, self.time, self.time_format, options=options)
        if clock is not None:
            notes += clock.check_order()
        return _Opened(table, clock, notes)

    @property
    def _channels(self) -> list[str]:
        return self._names if self.columns is None else self.columns

    @property
    def _names(self) -> list[str]:
        """The columns that are read."""
        return self._chosen[0]

    @cached_property
    def _chosen(self) -> tuple[list[str], FloatArray, list[str]]:
        """The columns that are read, their values, NaN where there is none, and what is said of
        others."""
        table = self._opened.table
        times = time_columns(table, self.time)
        table.require([] if self.time is None else [self.time])
        return measured(table, times, self.columns)

    @cached_property
    def _values(self) -> Tensor:
        names, values, _ = self._chosen
        if self.missing == "refuse" and not np.isfinite(values).all():
            self._opened.table.values(names, "refuse")  # which says where
        return self._finished(self._opened.table, names, values)

    def _finished(self, table: Table | Frame, names: list[str], values: FloatArray) -> Tensor:
        """The values (T, C) float64, what is missing filled in as told."""
        require_in_range(table, names, values)
        return without_missing(torch.from_numpy(values), self.missing, str(table.path))
