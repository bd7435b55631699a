"""Which columns of a table tell the time of its rows: one, or several that are read together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np

from spikescan.data.frame import Frame
from spikescan.data.own.table import INDEX, Table
from spikescan.data.times import is_clock, is_day, is_number, start_of, unit_of

_PARTS = (
    ("year", "jahr"),
    ("month", "monat", "mo"),
    ("day", "tag", "dy"),
    ("hour", "stunde", "hr"),
    ("minute", "min"),
    ("second", "sec"),
)
"""What columns of the parts of a time are called."""
_DAY_OF_YEAR = ("doy", "yday", "day_of_year", "dayofyear", "day of year", "julian_day")
_QUARTER = ("quarter", "qtr", "quartal")
_WEEK = (
    "week",
    "woche",
    "kw",
    "kalenderwoche",
    "iso_week",
    "isoweek",
    "week_of_year",
    "weekofyear",
)
_WHOLE = re.compile(r"\d+(\.0*)?")
"""A part of a time, as programs without whole numbers write it too."""


def time_columns(table: Table | Frame, time: str | None) -> tuple[str, ...]:
    """The column of the time; or that of the day and the one of its time; or those of year, month
    and what follows; none if there is none."""
    name = time or table.time_column()
    if isinstance(table, Frame):
        return () if name is None else (name,)
    if name is None or name.lower() in INDEX:
        name = next((n for n in table.names if _counts_time(table, n)), name)
    if time is None and (name is None or name.lower() in INDEX):
        return _parts(table) or (() if name is None else (name,))
    if name is None or name not in table.names:
        return ()
    told = table.first(name)
    if is_day(told):
        for other in table.names:
            if other != name and (is_clock(table.first(other)) or _is_hour(table, other)):
                return name, other
    elif is_clock(told):
        for other in table.names:
            if other != name and is_day(table.first(other)):
                return other, name
    return (name,)


def _counts_time(table: Table, name: str) -> bool:
    """Whether a column is called a time in some unit, and its numbers only rise."""
    cells = table.column(name) if unit_of(name) is not None else []
    numbers = bool(cells) and all(map(is_number, cells))
    return numbers and bool((np.diff([float(cell) for cell in cells]) > 0).all())


def _parts(table: Table) -> tuple[str, ...]:
    """The columns of year, month, day, hour, minute and second, as far as they go; or those of
    year, day of the year and what follows; or those of year and quarter, or of year and week.

    One called ``min`` beside one called ``max`` is no minute.
    """
    least = any(name.lower() == "max" for name in table.names)
    day = (_PARTS[0], _DAY_OF_YEAR, *_PARTS[3:])
    for parts in (_PARTS, day, (_PARTS[0], _QUARTER), (_PARTS[0], _WEEK)):
        found: list[str] = []
        for words in parts:
            name = next((name for name in table.names if name.lower() in words), None)
            if name is None or (least and name.lower() == "min"):
                break
            if not all(map(_WHOLE.fullmatch, table.column(name))):
                break
            found.append(name)
        if len(found) > 1:
            return tuple(found)
    return ()


def cells_of(table: Table | Frame, names: tuple[str, ...]) -> list[str]:
    """The times, each in one cell."""
    columns = [table.column(name) for name in names]
    if len(names) == 1:
        return columns[0]
    if names[0].lower() in _PARTS[0]:
        columns = [[cell.partition(".")[0] for cell in column] for column in columns]
    rows: Iterable[tuple[str, ...]] = zip(*columns, strict=True)
    if names[0].lower() in _PARTS[0]:
        if names[1].lower() in _QUARTER:
            rows = ((year, f"{3 * int(quarter) - 2}") for year, quarter in rows)
        elif names[1].lower() in _WEEK:
            rows = (_monday(year, week) for year, week in rows)
            names = (*names, "day")
        elif names[1].lower() in _DAY_OF_YEAR:
            rows = ((year, *_month_and_day(year, day), *clock) for year, day, *clock in rows)
            names = (names[0], "month", *names[1:])
        rest = ["01", "01", "00", "00"][len(names) - 1 :]
        parts = ([cell.zfill(2) for cell in (*row, *rest)] for row in rows)
        return ["-".join(cells[:3]) + " " + ":".join(cells[3:]) for cells in parts]
    return [
        f"{a} {b.partition('.')[0].zfill(2)}:00" if _WHOLE.fullmatch(b) else f"{a} {start_of(b)}"
        for a, b in rows
    ]


def _month_and_day(year: str, day: str) -> tuple[str, str]:
    """The month and its day, of a day of a year; such a day as it is where the year has none."""
    if not 1 <= int(year) <= 9998 or not 1 <= int(day) <= 366:
        return "00", day
    date = datetime(int(year), 1, 1) + timedelta(days=int(day) - 1)
    return (f"{date.month}", f"{date.day}") if date.year == int(year) else ("00", day)


def _monday(year: str, week: str) -> tuple[str, str, str]:
    """Year, month and day on which a week begins, as ISO 8601 counts them; the first one of a year
    may begin in the year before. Its number stands as it is where the year has no such week."""
    try:
        monday = datetime.fromisocalendar(int(year), int(float(week)), 1)
    except ValueError:
        return year, "00", week
    return f"{monday.year}", f"{monday.month}", f"{monday.day}"


def _is_hour(table: Table, name: str) -> bool:
    """Whether a column holds hours, from 0 to 23, or from 1 to 24, each of which ends then."""
    cells = table.column(name)
    if name.lower() not in _PARTS[3] or not all(map(_WHOLE.fullmatch, cells)):
        return False
    hours = {int(float(cell)) for cell in cells}
    return max(hours) < 24 or (max(hours) == 24 and min(hours) > 0)
