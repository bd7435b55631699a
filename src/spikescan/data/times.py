"""Times as people write them: dates with or without a clock, and counts of seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikescan.data.root import DataError

IGNORE = "ignore"
"""In place of a format, or of a column: the time is not read."""
MONTH = 365.2425 / 12 * 86400
"""Seconds of a month, on average."""
_WRITE = "write times as 2024-01-31 12:00"
_DATE = re.compile(
    r"(?P<a>\d{1,4})(?P<s>[-/.])(?P<b>\d{1,4})((?P=s)(?P<c>\d{1,4}))?"
    r"|(?P<word>[A-Za-z]{3,9})(?P<gap>[ -])((?P<day>\d{1,2}), )?(?P<year>\d{4}|(?<=-)\d\d)"
    r"|\d{1,2}(?P<sep>[ -])(?P<name>[A-Za-z]{3,9})(?P=sep)(?P<end>\d{4}|\d\d)"
)
_CLOCK = re.compile(
    r"\d{1,2}(?P<s>[:.])\d\d((?P<second>(?P=s)\d\d)(?P<part>\.\d{1,6})?)?"
    r"(?P<gap> ?)(?P<half>[AaPp][Mm])?"
)
_SPAN = re.compile(
    r"(?P<start>.*\d:\d\d.*?) [-\u2013] .*\d:\d\d.*|(?P<clock>\d\d?:\d\d) ?[-\u2013] ?\d\d?:\d\d"
)
"""A span of time from one clock to another."""
_STAMPS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M"}
_UNITS = {
    "s": 1.0,
    "sec": 1.0,
    "seconds": 1.0,
    "ms": 1e3,
    "us": 1e6,
    "µs": 1e6,
    "ns": 1e9,
    "min": 1 / 60,
    "minutes": 1 / 60,
    "h": 1 / 3600,
    "hours": 1 / 3600,
    "d": 1 / 86400,
    "days": 1 / 86400,
}
_ZONES = 4
"""Offsets from UTC that the times of one file may have."""
_MIDNIGHT = re.compile(r"(?<!\d)24:00(:00)?$")
"""The end of a day."""
_NAMED_UNIT = re.compile(r"(time|zeit|t|elapsed|timestamp)([ _]| ?[\[(])(?P<unit>[a-zµ]+)[\])]?")
# The units in which programs count the time since 1970, and the years 1979 to 2128 in seconds.
_EPOCHS = {1e3: "ms", 1e6: "us", 1e9: "ns"}
_SINCE = (3e8, 5e9)


class Times(NamedTuple):
    """The time of each row."""

    seconds: NDArray[np.float64]
    """From any start. Where all rows are of one day of their month, a month is one as any other."""
    moments: list[datetime] | None
    """The same, where they are dates."""
    form: str | None
    """How they are written, as strptime has it; None for ISO 8601 and for numbers."""
    unit: float
    """How many of what is counted are a second: 1000 milliseconds, 1 / 86400 days; 1 for dates."""


def read_times(
    cells: Sequence[str], place: Callable[[int], str], form: str | None = None, hint: str = ""
) -> Times:
    """Read a column of the time: dates, of which every cell must be one, or numbers.

    Args:
        cells: what stands in it.
        place: file, line and column of a cell, for errors.
        form: how it may be written, as strptime has it; needed where days and months cannot be
            told apart.
        hint: what else to do about times that are not read, with ``{form}`` for how they may be
            written.

    Raises:
        DataError: a cell cannot be read, or may be read in two ways.

    >>> cells = ["1/30/2024", "1/31/2024", "2/1/2024"]
    >>> read_times(cells, lambda row: f"line {row}").moments[-1].isoformat()
    '2024-02-01T00:00:00'
    """
    first = next((cell for cell in cells if cell and not _is_nan(cell)), "")
    form = stamp(cells) or form
    if form is not None and _parsed(first, form):
        ways: list[str | None] = [form]
    elif is_number(first):
        return _numbers(cells, place, first)
    else:
        ways = ways_to_read(first)
    if not ways:
        raise DataError(
            f"{place(0)} must be a time, got {cells[0]!r}; {_WRITE}"
            + hint.format(form="'%d/%m/%Y'")
        )
    read: dict[str | None, list[datetime]] = {}
    furthest = 0
    for way in ways:
        moments, bad = _all(cells, way)
        if bad is None:
            read[way] = moments
        else:
            furthest = max(furthest, bad)
    if not read:
        raise DataError(
            f"{place(furthest)} must be a time as {first!r} is, got {cells[furthest]!r}; mend the "
            "line, or take it out"
        )
    if len(read) > 1 and any(moments != next(iter(read.values())) for moments in read.values()):
        raise DataError(
            f"{place(0)}: {cells[0]!r} may be {' or '.join(map(str, read))}, and no other line "
            f"tells which; {_WRITE}" + hint.format(form=" or ".join(f"'{way}'" for way in read))
        )
    way, moments = next(iter(read.items()))
    if len({moment.utcoffset() for moment in moments}) > _ZONES:
        raise DataError(
            f"{place(0)}: {cells[0]!r} and those below tell more than {_ZONES} time zones; if they "
            "are spans of time, write blanks around the - between their ends"
        )
    try:
        return Times(_seconds(moments), moments, way, 1.0)
    except TypeError:
        bad = next(
            i for i, m in enumerate(moments) if (m.tzinfo is None) != (moments[0].tzinfo is None)
        )
        raise DataError(
            f"{place(bad)}: {cells[bad]!r} and {cells[0]!r} must both tell their time zone, or none"
        ) from None


def ways_to_read(cell: str) -> list[str | None]:
    """How a cell may be read as a time: None for ISO 8601, else as strptime has it."""
    cell = start_of(cell)
    if is_number(cell):
        return []
    if _parsed(cell, None):
        return [None]
    clock = _CLOCK.fullmatch(cell) if ":" in cell else None  # 5.1.20 is a date
    if clock is not None:
        return [way for way in [_clock(clock)] if _parsed(cell, way)]
    date = _DATE.match(cell)
    if date is None:
        return []
    gap = re.match(r"[T ]?", cell[date.end() :])
    assert gap is not None
    rest = cell[date.end() + gap.end() :]
    clock = _CLOCK.fullmatch(rest)
    if rest and clock is None:
        return []
    tail = "" if clock is None else gap[0] + _clock(clock)
    return [way + tail for way in _dates(date) if _parsed(cell, way + tail)]


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, as a program would write it."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # which Python allows between digits


def unit_of(name: str) -> float | None:
    """How many of what a column of the time counts are a second, as its name says.

    >>> unit_of("Time [ms]"), unit_of("t_us"), unit_of("total")
    (1000.0, 1000000.0, None)
    """
    named = _NAMED_UNIT.fullmatch(name.strip().lower())
    return None if named is None else _UNITS.get(named["unit"])


def start_of(cell: str) -> str:
    """Where a span of time begins; any other cell as it is.

    >>> start_of("00:00-01:00"), start_of("01.01.2020 00:00 - 01.01.2020 01:00")
    ('00:00', '01.01.2020 00:00')
    """
    span = _SPAN.fullmatch(cell)
    return cell if span is None else span["start"] or span["clock"]


def is_clock(cell: str) -> bool:
    """Whether a cell is the time of some day."""
    cell = start_of(cell)
    told = not is_number(cell) and _CLOCK.fullmatch(cell) is not None
    return told and (":" in cell or not ways_to_read(cell))


def is_day(cell: str) -> bool:
    """Whether a cell is a date without a clock."""
    if len(cell) == 8 and stamp([cell]):
        return True
    if ":" in cell or is_clock(cell) or not ways_to_read(cell):
        return False
    return " " not in cell or re.search("[A-Za-z]", cell) is not None


def following(times: Times, cells: Sequence[str], every: float, steps: int) -> list[str]:
    """The times of the rows to come, written as those before.

    Args:
        times: of the rows.
        cells: how they are written.
        every: seconds from row to row.
        steps: how many rows.
    """
    last = start_of(cells[-1])
    if times.moments is None:
        step = every * times.unit
        whole = math.isclose(step, round(step), rel_tol=1e-9) and re.fullmatch(r"[+-]?\d+", last)
        if whole:
            return [str(int(last) + round(step) * i) for i in range(1, steps + 1)]
        if not re.fullmatch(r"[+-]?\d*\.?\d*", last):
            return [f"{float(last) + step * i:.9g}" for i in range(1, steps + 1)]
        places = max(len(cell.partition(".")[2]) for cell in cells)
        said = [f"{float(last) + step * i:.{places}f}" for i in range(1, steps + 1)]
        even = all("." in cell for cell in cells) or not places
        return said if even else [cell.rstrip("0").rstrip(".") for cell in said]
    moment = times.moments[-1]
    months = round(every / MONTH)
    if months and abs(every / MONTH - months) < 1e-6:
        moments = [_months_on(times.moments, months * i) for i in range(1, steps + 1)]
    else:
        moments = [moment + timedelta(seconds=every * i) for i in range(1, steps + 1)]
    return [_written(m, times.form, last) for m in moments]


def spell(every: float) -> str:
    """How long it is from row to row, in words.

    >>> spell(3600.0), spell(MONTH), spell(3 * MONTH)
    ('3600 s', 'month', '3 months')
    """
    months = round(every / MONTH)
    if months and abs(every - months * MONTH) < 1:
        return "month" if months == 1 else f"{months} months"
    return f"{every:,.0f} s" if every >= 1e6 else f"{every:g} s"


def _written(moment: datetime, form: str | None, like: str) -> str:
    if form is not None:
        return moment.strftime(form)
    if len(like) <= len("2024-01-31"):
        days = moment == moment.replace(hour=0, minute=0, second=0, microsecond=0)
        return moment.date().isoformat() if days else moment.isoformat(" ")
    clock = re.split(r"[+Z]|-(?=\d\d:)", like[11:])[0]
    spec = "minutes" if clock.count(":") == 1 and not moment.second else "auto"
    return moment.isoformat(like[10], spec)


def _months_on(moments: list[datetime], months: int) -> datetime:
    """The last moment some months later; the last day of a month stays such."""
    last = moments[-1]
    month = last.year * 12 + last.month - 1 + months
    first = last.replace(year=month // 12, month=month % 12 + 1, day=1)
    return first + timedelta(days=(_days(first) if _at_ends(moments) else last.day) - 1)


def _days(moment: datetime) -> int:
    """Days of a month."""
    first = moment.replace(day=1)
    return ((first + timedelta(days=31)).replace(day=1) - first).days


def _at_ends(moments: list[datetime]) -> bool:
    return all(moment.day == _days(moment) for moment in moments)


def _seconds(moments: list[datetime]) -> NDArray[np.float64]:
    first = moments[0]
    monthly = all(m.day == first.day for m in moments) or _at_ends(moments)
    if monthly and all(m.timetz() == first.timetz() for m in moments) and len(moments) > 1:
        months = [12 * (m.year - first.year) + m.month - first.month for m in moments]
        return MONTH * np.array(months, dtype=np.float64)
    return np.array([(moment - first).total_seconds() for moment in moments])


def _numbers(cells: Sequence[str], place: Callable[[int], str], first: str) -> Times:
    for i, cell in enumerate(cells):
        if not is_number(cell) or not math.isfinite(float(cell)):
            raise DataError(
                f"{place(i)} must be a time as {first!r} is, got {cell!r}; mend the line, or take "
                "it out"
            )
    if all(re.fullmatch(r"\d{1,19}", cell) for cell in cells):
        whole = [int(cell) for cell in cells]
        for unit in _EPOCHS:
            if min(whole) >= _SINCE[0] * unit and max(whole) < _SINCE[1] * unit:
                return Times(np.array([v - whole[0] for v in whole]) / unit, None, None, unit)
    return Times(np.array([float(cell) for cell in cells]), None, None, 1.0)


def _all(cells: Sequence[str], way: str | None) -> tuple[list[datetime], int | None]:
    """All times, or those before the first cell that is none, and its row."""
    moments: list[datetime] = []
    for i, cell in enumerate(cells):
        moment = _parsed(cell, way)
        if moment is None:
            return moments, i
        moments.append(moment)
    return moments, None


def _parsed(cell: str, way: str | None) -> datetime | None:
    cell = start_of(cell)
    if _MIDNIGHT.search(cell):
        begins = _parsed(_MIDNIGHT.sub(lambda end: end[0].replace("24", "00"), cell), way)
        return None if begins is None else begins + timedelta(days=1)
    try:
        if way is not None:
            return datetime.strptime(cell, way)
        return datetime.fromisoformat(cell.removesuffix(" UTC") + "Z" * cell.endswith(" UTC"))
    except ValueError:
        return None


def _dates(date: re.Match[str]) -> list[str]:
    """The ways in which a date that is not written as ISO 8601 has it may be read."""
    if date["word"]:
        day, year = "%d, " if date["day"] else "", "%Y" if len(date["year"]) == 4 else "%y"
        return [f"%{b}{date['gap']}{day}{year}" for b in "bB"]
    if date["name"]:
        year = "%Y" if len(date["end"]) == 4 else "%y"
        return [f"%d{date['sep']}%{b}{date['sep']}{year}" for b in "bB"]
    s, fields = date["s"], [date["a"], date["b"], date["c"]]
    if fields[2] is None:
        if s == ".":
            return []
        return [f"%Y{s}%m"] if len(fields[0]) == 4 else [f"%m{s}%Y"]
    if len(fields[0]) == 4:
        return [f"%Y{s}%m{s}%d"]
    year = "%Y" if len(fields[2]) == 4 else "%y"
    if s == ".":
        return [f"%d.%m.{year}"]
    ways = [f"%m{s}%d{s}{year}", f"%d{s}%m{s}{year}"]
    return ways if year == "%Y" else [*ways, f"%y{s}%m{s}%d"]


def _clock(clock: re.Match[str]) -> str:
    s = clock["s"]
    hour = "%I" if clock["half"] else "%H"
    second = f"{s}%S" if clock["second"] else ""
    part = ".%f" if clock["part"] else ""
    return f"{hour}{s}%M{second}{part}" + (f"{clock['gap']}%p" if clock["half"] else "")


def stamp(cells: Sequence[str]) -> str | None:
    """How cells are dates in digits alone, with the hour and minute or without, as strptime has
    it."""
    form = _STAMPS.get(len(cells[0]))
    digits = all(
        len(cell) == len(cells[0]) and cell.isdecimal() and cell[:2] in ("19", "20")
        for cell in cells
    )
    return form if digits and form and all(_parsed(cell, form) for cell in cells) else None


def _is_nan(cell: str) -> bool:
    return is_number(cell) and math.isnan(float(cell))
