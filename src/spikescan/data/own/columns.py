"""Which columns of a table hold measurements."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spikescan.data.frame import Frame
from spikescan.data.own.items import GROUP, is_called
from spikescan.data.own.marks import marker
from spikescan.data.own.table import CALENDAR, INDEX, Table
from spikescan.data.root import DataError
from spikescan.data.times import is_number, ways_to_read

_ID = re.compile(r"(.*[^a-z])?ids?", re.IGNORECASE)
_TIMES = 4
"""Columns that may be called by times in a table whose lines are steps, at most."""
_ROWS = 10
"""Rows by which a column can be told to stand still, or to count, at least."""
_LARGEST = float(np.finfo(np.float32).max)
_VARIES = 100 * 2.0**-24
"""By how much of its size a column must vary: a hundred times what float32 rounds by."""
_OFF = 0.25
"""By how much of a step a count may be off a straight line, as it is rounded."""
_SERIES = re.compile(
    r"(.*[^a-z])?(id|ids|sensor|store|station|item|device|site|shop|product|sku|symbol|ticker"
    r"|machine|household|meter|region|city|country|node|customer|name|filiale|gerät)",
    re.IGNORECASE,
)
"""What a column is called that may tell series apart, at its end."""


def require_one_series(table: Table | Frame, measured: Sequence[str] = ()) -> str | None:
    """Refuse several series in one table, told apart by a column called so.

    Its values, whole numbers or words, come again and again, and take turns, or each comes in one
    run of rows.

    Args:
        table: the table.
        measured: columns that are known to be measurements.

    Returns:
        What to say of a column that is only called so.

    Raises:
        DataError: names the column.
    """
    if isinstance(table, Frame):
        return None
    for name in table.names:
        if name in measured or not (_SERIES.fullmatch(name) or is_called(name, GROUP)):
            continue
        cells = table.column(name)
        values = {*cells}
        if not 2 <= len(values) <= len(cells) // 5:
            continue
        if not all(cell.lstrip("+-").isdecimal() or not is_number(cell) for cell in values):
            continue
        turns = sum(a != b for a, b in pairwise(cells)) / (len(cells) - 1)
        apart = turns > 0.6 or turns * (len(cells) - 1) == len(values) - 1
        # A sensor of a door says 0 or 1.
        switch = values == {"0", "1"} and name.lower().endswith("sensor")
        if apart and not switch:
            raise DataError(
                f"{table.path}: column {name!r} seems to tell several series apart, "
                f"{', '.join(sorted(values)[:3])}{' ...' if len(values) > 3 else ''}: make each a "
                "column, or a file, of its own; if all rows are one series, take the column out",
                "; if it is a measurement, name it in --data.columns",
            )
        return (
            f"{table.path}: if column {name!r} tells several series apart, make each a column, or "
            "a file, of its own"
        )
    for name in table.names:
        if (
            name not in measured
            and name.lower() not in CALENDAR
            and _counts_runs(table.column(name))
        ):
            return (
                f"{table.path}: column {name!r} stands still for some rows, and goes on by one; if "
                "it tells several series apart, make each a column, or a file, of its own"
            )
    return None


def in_runs(cells: Sequence[str]) -> list[str]:
    """The values of a column whose rows of one value all follow each other, five and more; none
    where they do not."""
    values = [cell for i, cell in enumerate(cells) if not i or cell != cells[i - 1]]
    return values if 2 <= len(values) == len({*values}) <= len(cells) // 5 else []


def _counts_runs(cells: Sequence[str]) -> bool:
    """Whether cells count runs of rows, one after the other."""
    values = in_runs(cells)
    whole = bool(values) and all(map(str.isdecimal, values))
    return whole and all(int(b) - int(a) == 1 for a, b in pairwise(values))


def require_no_total(table: Table | Frame, values: NDArray[np.float64]) -> None:
    """Refuse a last row that is, by a hundredth, the sum of those above, and far from any of them.

    Raises:
        DataError: names it.
    """
    if len(values) < _ROWS:
        return
    last, above = values[-1], np.nan_to_num(values[:-1], posinf=0, neginf=0)
    far = (np.abs(last) / 3 > np.abs(above).max(0)).all()
    if far and np.allclose(last, above.sum(0), rtol=0.01, atol=0):
        raise DataError(
            f"{table.path}: {table.row} {table.lines[-1]} is the sum of all rows above it, and "
            "looks like a total; take it out"
        )


def markers(
    table: Table | Frame,
    names: Sequence[str],
    values: NDArray[np.float64],
    *,
    refused: bool,
) -> list[str]:
    """What to say of words in columns (T, C) that are read as numbers, and of numbers that seem to
    stand for no value; see :func:`~spikescan.data.own.marks.marker`.

    Args:
        table: the table; nothing is said where it is told that all numbers are values.
        names: its columns.
        values: theirs, NaN where there is none.
        refused: whether they are refused, unless the table is told what stands for none.

    Raises:
        DataError: names the number, how often it comes, and what to say of it.
    """
    known = table.na_values
    found: list[str] = []
    for name in names:
        if not isinstance(table, Frame) and (digits := table.truths(name)):
            word = table.first(name)
            digit = digits[table.column(name).index(word)]
            found.append(f"{table.path}: column {name!r}: {word} is read as {digit}")
    for name, column in zip(names, values.T, strict=True):
        mark = None if known is not None and not len(known) else marker(column)
        if mark is None:
            continue
        often = int((column == mark).sum())
        rest = column[np.isfinite(column) & (column != mark)]
        others = (
            f", far from all other values, {rest.min():g} to {rest.max():g}" if len(rest) else ""
        )
        times = "once" if often == 1 else f"{often:,} times"
        said = f"{table.path}: column {name!r} holds {mark:g} {times}{others}"
        if refused and known is None:
            one = json.dumps([int(mark) if mark == round(mark) else mark])
            raise DataError(
                said,
                f": if it stands for no value, say --data.na_values '{one}' --data.missing hold; "
                "if it is one, say --data.na_values '[]'",
            )
        found.append(f"{said}; is it a value?")
    return found


def require_in_range(
    table: Table | Frame, names: Sequence[str], values: NDArray[np.float64]
) -> None:
    """Refuse columns (T, C) with numbers that float32 does not reach.

    Raises:
        DataError: names the first.
    """
    beyond = (np.isfinite(values) & (np.abs(values) > _LARGEST)).any(0)
    if beyond.any():
        raise DataError(
            f"{table.path}: column {names[int(beyond.argmax())]!r} holds numbers beyond float32's, "
            "3.4e38"
        )


def require_told_apart(
    table: Table | Frame, names: Sequence[str], values: NDArray[np.float64]
) -> None:
    """Refuse columns (T, C) whose values differ by less than float32 can tell apart, by far.

    Raises:
        DataError: names the first.
    """
    for name, column in zip(names, values.T, strict=True):
        there = column[np.isfinite(column)]
        size = np.abs(there).max(initial=0)
        if len(there) and size <= _LARGEST and 0 < there.std() < _VARIES * size:
            raise DataError(
                f"{table.path}: column {name!r} is {there.min():.12g} to {there.max():.12g}, too "
                "little for float32 to tell well; take a constant off its values",
                f", or, if it is the time, say --data.time {shlex.quote(name)}; --data.columns "
                "leaves out columns that it does not name",
            )


def blurred(values: NDArray[np.float64]) -> list[int]:
    """The columns (T, C) of which float32 keeps less than half as many different values."""
    with np.errstate(over="ignore"):
        kept = values.astype(np.float32)
    return [
        j
        for j in range(values.shape[1])
        if len(np.unique(kept[:, j])) < len(np.unique(values[:, j])) / 2
    ]


def require_numbers(
    table: Table | Frame, names: Sequence[str], others: Sequence[str], to: str = "to forecast"
) -> None:
    """Refuse columns that hold no number at all.

    Args:
        table: the table.
        names: the columns.
        others: those that may be named in their place.
        to: what for, in words.

    Raises:
        DataError: names the first such column, and how to leave it out.
    """
    if isinstance(table, Frame):
        return
    hollow = {
        n: table.first(n)
        for n in names
        if not (any(map(is_number, table.column(n))) or table.truths(n))
    }
    # Digits and marks are a number, but for a mark that is told with its line.
    hollow = {n: word for n, word in hollow.items() if not re.fullmatch(r"[-+\d.,' ]+", word)}
    if not hollow:
        return
    name, word = next(iter(hollow.items()))
    what = f"holds no number, but {word!r}" if word else "holds nothing"
    rest = [o for o in others if o not in hollow and not (is_called(o, GROUP) or _ID.fullmatch(o))]
    some = json.dumps(rest[:6], ensure_ascii=False)
    how = "mend the file"
    if rest:
        how = f"name the columns {to}: --data.columns '{some}'"
    elif " " in word:
        how = "texts are read from files, one each, in a folder for each class"
    raise DataError(f"{table.path}: column {name!r} {what}", table.say_skip() or f"; {how}")


def require_whole(table: Table | Frame, names: Sequence[str], window: NDArray[np.float64]) -> None:
    """Refuse values (T, C), a table's last ones, of which some are missing.

    Raises:
        DataError: names the first.
    """
    absent = ~np.isfinite(window)
    if absent.any():
        row, at = np.argwhere(absent)[0]
        raise DataError(
            f"{table.path}: {table.row} {table.lines[row - len(absent)]}, column {names[at]!r} has "
            f"no value, {absent.sum():,} are missing from the last {len(absent):,} rows; mend them,"
            " as this network learned from a file without gaps"
        )


def require_fresh(table: Table | Frame, names: Sequence[str], window: NDArray[np.float64]) -> None:
    """Refuse values (T, C), a table's last ones, where a column has none.

    Raises:
        DataError: names the first such column.
    """
    for name, column in zip(names, window.T, strict=True):
        if not np.isfinite(column).any():
            raise DataError(
                f"{table.path}: column {name!r} has no value in the last {len(column):,} rows; "
                "mend the file"
            )


def measured(
    table: Table | Frame, times: Sequence[str], columns: Sequence[str] | None
) -> tuple[list[str], NDArray[np.float64], list[str]]:
    """The columns of a series that are read, their values (T, C), NaN where there is none, and what
    is said of others.

    Args:
        table: the table.
        times: its columns of the time.
        columns: those to read; without them all but those of the time, and those that only number
            the rows, count, or stand still.

    Raises:
        DataError: there is no such column, or one holds no numbers, or some that seem to be none.
    """
    others = [name for name in table.names if name not in times]
    names = others if columns is None else [*columns]
    table.require(names)
    if not names:
        raise DataError(f"{table.path} has no column to forecast")
    if columns is None:
        _require_upright(table, names)
    require_numbers(table, names, others)
    values = table.values(names, "zero")
    require_no_total(table, values)
    notes = markers(table, names, values, refused=True)
    require_told_apart(table, names, values)
    if columns is not None:
        return names, values, notes
    left = no_measurements(table, names, values)
    kept = [j for j, name in enumerate(names) if name not in left]
    if not left or not kept:
        return names, values, notes
    notes += [
        f"{table.path.name}: column {name!r} {what} and is left out; to forecast it, name it in "
        "--data.columns"
        + (", or if it tells the time in --data.time" if what.startswith("grows by") else "")
        for name, what in left.items()
    ]
    return [names[j] for j in kept], values[:, kept], notes


def _require_upright(table: Table | Frame, names: Sequence[str]) -> None:
    """Refuse a table whose columns are called by times, more of them than not.

    Raises:
        DataError: it is one.
    """
    times = [n for n in names if ways_to_read(n) or re.fullmatch(r"(19|20)\d\d", n)]
    if len(times) > max(_TIMES, len(names) // 2):
        raise DataError(
            f"{table.path}: columns are called by times, {times[0]} to {times[-1]}; turn the table,"
            " so that each time is a line and each series a column",
            ", or name the columns to forecast in --data.columns",
        )


def no_measurements(
    table: Table | Frame, names: Sequence[str], values: NDArray[np.float64]
) -> dict[str, str]:
    """The columns that only number the rows, count, or stand still, and what they do, in words.

    Args:
        table: the table.
        names: its columns.
        values: of these columns (T, C), NaN where there is none.
    """
    found: dict[str, str] = {}
    if len(values) < _ROWS:
        return found
    for j, name in enumerate(names):
        column = values[:, j]
        there = column[np.isfinite(column)]
        steps = np.diff(there) if len(there) == len(column) else np.zeros(0)
        if len(there) and there.min() == there.max():
            found[name] = f"is {there[0]:g} throughout"
        elif len(steps) and counts(column):
            found[name] = f"grows by {steps.mean():.3g} in each row"
        elif name == table.names[0] and name.lower() in INDEX and (there == there.round()).all():
            found[name] = "numbers the rows"
    return found


def counts(column: NDArray[np.float64]) -> bool:
    """Whether values lie on a straight line that is not level."""
    line = np.linspace(column[0], column[-1], len(column))
    return bool((np.abs(column - line) <= _OFF * abs(line[1] - line[0])).all())
