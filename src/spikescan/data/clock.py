"""When the rows of a table were taken: their order, their pace, and what is missing of them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from spikescan.data.frame import Frame
from spikescan.data.own.table import CALENDAR, INDEX, Table, calendar
from spikescan.data.root import DataError
from spikescan.data.time_columns import cells_of, time_columns
from spikescan.data.times import IGNORE, following, is_clock, read_times, spell, unit_of

_FORMAT = f", or name the format: --data.time_format {{form}}; {IGNORE} leaves them unread"
_AS_IT_STANDS = f"; if these are one, as it stands, say --data.time_format {IGNORE}"
_SPRING = (3, 9, 10)
"""Months in which clocks are put forward, on either half of the Earth."""
_SET_BACK = (1800.0, 3600.0, 7200.0)
"""Seconds by which clocks are set back in autumn."""
_DAYS = (20_000, 80_000)
"""Days since 1900 of the years 1954 to 2119, as spreadsheets count."""
_APART = 7 * 86400.0
"""Seconds between two times at which clocks are set back, at least."""
_OFF = 0.01
"""Share by which a pace may be off from another that is the same."""


class Clock:
    """The times of a table's rows. Rows that come newest first are turned, in the table too.

    Args:
        table: the table.
        names: the columns that tell the time: one, or that of the day and that of its time.
        form: how times may be written, as strptime has it.
        options: whether who reads of a fault can give options.

    Raises:
        DataError: a time cannot be read.
    """

    def __init__(
        self,
        table: Table | Frame,
        names: tuple[str, ...],
        form: str | None,
        options: bool,
    ) -> None:
        self.table, self.names, self.name = table, names, " ".join(names)
        self.cells = cells_of(table, names)
        self._options = options
        dates = self.name.lower() in ("date", "datum")
        if dates or self.name.lower() in CALENDAR:
            form = calendar(self.cells) or form
        self.times = read_times(self.cells, self._place, form, _FORMAT if options else "")
        if self.times.moments is None and self.times.unit == 1:
            unit = unit_of(names[0])
            if unit is not None:
                self.times = self.times._replace(seconds=self.times.seconds / unit, unit=unit)
            elif re.search("dat|stamp|zeitpunkt", self.name.lower()):
                self._count_days()
        seconds = self.times.seconds
        falls = np.diff(seconds) < 0
        self.turned = len(falls) > 0 and seconds[-1] < seconds[0] and falls.mean() > 0.9
        if self.turned:
            table.turn()
            self.cells = self.cells[::-1]
            moments = self.times.moments
            self.times = self.times._replace(
                seconds=seconds[::-1], moments=None if moments is None else moments[::-1]
            )
        days = self.times.moments or []
        self.every = None if self.name.lower() in INDEX else self.pace()
        self.weekdays = (
            bool(days) and self.every == 86400 and all(day.weekday() < 5 for day in days)
        )
        """Whether there is a row a day, and none on Saturdays and Sundays."""

    def pace(self, last: int | None = None) -> float | None:
        """Seconds from row to row, as most of the last ones have it."""
        steps = np.diff(self._seconds(last))
        steps = steps[steps > 0]
        return float(np.median(steps)) if len(steps) else None

    def check_order(self) -> list[str]:
        """What to say of rows that are in the order of time; a clock set back in autumn is told.

        Raises:
            DataError: a row is no later than the one before.
        """
        notes: list[str] = []
        if self.turned:
            notes.append(
                f"{self.table.path}: rows come newest first, and are read from the end, from "
                f"{self.cells[0]} to {self.cells[-1]}"
            )
        back: list[int] = []
        for i in np.flatnonzero(np.diff(self.times.seconds) <= 0).tolist():
            if not self._is_set_back(i, back[-1] + 1 if back else 0):
                raise DataError(self._disorder(i))
            back.append(i)
        if back:
            lines = ", ".join(f"{self.table.lines[i + 1]} ({self.cells[i + 1]})" for i in back[:5])
            more = f" and {len(back) - 5} more" if len(back) > 5 else ""
            notes.append(
                f"{self.table.path}: the time goes back in {self.table.row} {lines}{more}, taken "
                "for a clock that was set back"
            )
        return notes

    def gaps(self, every: float, last: int | None = None) -> tuple[list[int], list[str]]:
        """After which of the last rows the next comes late by a row or more, and the times before
        which the clock was put forward, which counts for none.

        On weekdays alone, weekends are no gaps.
        """
        seconds, moments = self._seconds(last), self.times.moments
        late = np.flatnonzero(np.diff(seconds) > 1.5 * every) + len(self.cells) - len(seconds)
        if moments is None:
            return late.tolist(), []
        if self.weekdays:
            days = np.array([moment.date() for moment in moments], dtype="datetime64[D]")
            late = late[np.busday_count(days[late], days[late + 1]) > 1]
        forward = [i for i in late if put_forward(moments[i], moments[i + 1], every)]
        return [i for i in late.tolist() if i not in forward], [self.cells[i + 1] for i in forward]

    def early(self, every: float, last: int | None = None) -> int:
        """How many of the last rows come early, by more than half of the time to a row."""
        steps = np.diff(self._seconds(last))
        return int(((steps > 0) & (steps < 0.5 * every)).sum())

    def check_pace(self, every: float, last: int) -> list[str]:
        """What to say of the last rows, which follow each other at the pace that was learned from.

        Raises:
            DataError: they have another pace, or rows are missing.
        """
        pace, where = self.pace(last), f"{self.table.path}, the last {last} rows"
        if self.every is None:
            return []
        if pace and abs(pace - every) > _OFF * every:
            raise DataError(
                f"{self.table.path}: a row every {spell(pace)}, the network learned from one every "
                f"{spell(every)}"
            )
        gaps, forward = self.gaps(every, last)
        if gaps and not self.weekdays:
            at = gaps[0]
            count = round((self.times.seconds[at + 1] - self.times.seconds[at]) / every) - 1
            raise DataError(
                f"{where}: {late(len(gaps))}, first {self.table.row} {self.table.lines[at + 1]}, "
                f"where {self.cells[at]} is followed by {self.cells[at + 1]}; put in the rows that "
                f"are missing, {count:,} there"
            )
        notes = [f"{where}: {late(len(gaps))}, weekends aside"] if gaps else []
        if early := self.early(every, last):
            notes.append(f"{where}: {comes_early(early)}, and each is taken for one step")
        if forward:
            notes.append(
                f"{self.table.path}: an hour is skipped before {forward[0]}, taken for a clock "
                "that was put forward; if rows are missing there, put them in"
            )
        return notes

    def ahead(self, every: float | None, steps: int, last: int) -> dict[str, list[str]]:
        """The times of the steps to come, where the last rows are evenly spaced."""
        gaps = np.diff(self._seconds(last))
        if self.every is None or every is None or self.weekdays or not len(gaps):
            return {}
        if np.abs(gaps - every).max() > _OFF * every:
            return {}
        return {self.name: following(self.times, self.cells, every, steps)}

    def _seconds(self, last: int | None) -> NDArray[np.float64]:
        return self.times.seconds[0 if last is None else max(0, len(self.cells) - last) :]

    def _count_days(self) -> None:
        """Take numbers for days, where they are such as a spreadsheet stores dates as."""
        numbers = self.times.seconds
        if numbers.min() >= _DAYS[0] and numbers.max() < _DAYS[1]:
            seconds = 86400 * numbers
            # An hour of a day is 0.041667 there.
            if len(seconds) > 1 and np.median(np.abs(np.diff(seconds))) >= 2:
                seconds = seconds.round()
            self.times = self.times._replace(seconds=seconds - seconds[0], unit=1 / 86400)

    def _place(self, row: int) -> str:
        table = self.table
        return f"{table.path}: {table.row} {table.lines[row]}, column {self.name!r}"

    def _is_set_back(self, row: int, start: int) -> bool:
        """Whether a local clock is set back after a row, into an hour that has passed since
        ``start``, where it was set back before."""
        moments, seconds = self.times.moments, self.times.seconds
        if moments is None or moments[row].tzinfo is not None or self.every is None:
            return False
        if isinstance(self.table, Table) and self.table.rows[row] == self.table.rows[row + 1]:
            return False  # a copy
        after = moments[row + 1]
        if self.every > 3600 or 4 <= after.hour < 22:
            return False
        back = seconds[row] + self.every - seconds[row + 1]
        near = max(self.every / 2, 60.0)
        return (
            any(abs(back - hour) < near for hour in _SET_BACK)
            and bool(seconds[start : row + 1].min() <= seconds[row + 1])
            and (start == 0 or seconds[row] - seconds[start] > _APART)
        )

    def _disorder(self, row: int) -> str:
        """What to say of a row that is followed by one that is no later."""
        before, after = self.cells[row], self.cells[row + 1]
        again = self.times.seconds[row] == self.times.seconds[row + 1]
        head = f"{self._place(row + 1)} " + (
            f"has the time of {self.table.row} {self.table.lines[row]} again, {after}"
            if again
            else f"goes back from {before} to {after}"
        )
        if is_clock(before):
            return f"{head}; write the day beside the clock, in a column before it"
        first: dict[float, int] = {}
        twice = [
            (i, j) for i, t in enumerate(self.times.seconds) if (j := first.setdefault(t, i)) != i
        ]
        if not twice:
            return f"{head}; sort the rows by time"
        rows = self.table.rows
        if all(rows[i] == rows[j] for i, j in twice):
            many = "a row stands" if len(twice) == 1 else f"{len(twice):,} rows stand"
            return f"{head}; {many} there twice, take the copies out"
        if (name := self._of_series()) is not None:
            return (
                f"{head}; column {name!r} seems to tell several series apart: make each a column, "
                "or a file, of its own"
            )
        return (
            f"{head}, and {len(twice):,} times come again; several series must be a column, or a "
            f"file, each{_AS_IT_STANDS if self._options else ''}"
        )

    def _of_series(self) -> str | None:
        """The column that makes the rows of one time different, if there is one."""
        rows = len(self.cells)
        for name in self.table.names:
            if name in self.names:
                continue
            cells = self.table.column(name)
            if len({*cells}) <= rows // 2 and len({*zip(self.cells, cells, strict=True)}) == rows:
                return name
        return None


def clock_of(
    table: Table | Frame, time: str | None, form: str | None, *, options: bool
) -> Clock | None:
    """The clock of a table, where a column, or two, tell the time and are to be read.

    Args:
        table: the table.
        time: column of the time, else it is found.
        form: how it may be written, as strptime has it, or "ignore".
        options: whether who reads of a fault can give options.

    Raises:
        DataError: a time cannot be read.
    """
    names = time_columns(table, time)
    return Clock(table, names, form, options) if names and form != IGNORE else None


def put_forward(before: datetime, after: datetime, every: float) -> bool:
    """Whether from one time to the next a local clock was put forward, so that the rows are no
    further apart than others.

    It skips one hour in the early morning of a Sunday in spring; a time with its offset from UTC
    needs none of this.

    Args:
        before: a time.
        after: that of the next row.
        every: seconds from row to row.

    >>> put_forward(datetime(2024, 3, 31, 1), datetime(2024, 3, 31, 3), 3600)
    True
    >>> put_forward(datetime(2024, 3, 30, 1), datetime(2024, 3, 30, 3), 3600)
    False
    """
    if before.tzinfo is not None or after.tzinfo is not None:
        return False
    skipped = after - before - timedelta(seconds=every)
    early = after.weekday() == 6 and 1 <= after.hour <= 3 and after.month in _SPRING
    return early and skipped == timedelta(hours=1)


def comes_early(rows: int) -> str:
    """Rows that come early, in words."""
    return f"{rows:,} rows come early" if rows > 1 else "a row comes early"


def late(gaps: int) -> str:
    """Rows that come late, in words."""
    return f"{gaps:,} rows come late by a row or more" if gaps > 1 else "a row comes late"
