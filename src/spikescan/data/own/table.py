"""CSV files: names, cells, and values with the line and column of what is wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikescan.data.gaps import OR_MISSING, Missing
from spikescan.data.own.heads import counts, ends, is_word, named, words_alone
from spikescan.data.own.lines import lines_above, read_lines
from spikescan.data.own.marks import (
    COMMA,
    DASH,
    GROUPS,
    MINUS,
    THOUSANDS,
    Decimal,
    absent,
    as_marks,
    is_nothing,
    is_signed,
    plain,
    refuse_halves,
    truths,
    without_sign,
)
from spikescan.data.root import DataError
from spikescan.data.times import is_number, stamp, ways_to_read

TIMES = (
    "time",
    "timestamp",
    "timestamps",
    "_time",
    "datetime",
    "date",
    "time_s",
    "seconds",
    "date_time",
    "date time",
    "ds",
    "datum",
    "zeit",
    "zeitpunkt",
    "zeitstempel",
    "uhrzeit",
)
CALENDAR = ("year", "jahr", "month", "monat", "period", "yearmonth")
"""What columns of years, or of months as 202401, are called."""
_SAY_DECIMAL = "; say --data.decimal with the decimal mark, the other one then separates thousands"
INDEX = ("", "index", "unnamed: 0")
"""What the column of row numbers is called."""


class Table:
    """The lines of a CSV file, as text.

    Cells are separated by comma, semicolon or tab, whichever the first two lines have as many of,
    or by blanks. Beside semicolons and tabs, commas in numbers are decimal ones, which become
    points, unless the decimal mark is given. A first line of values alone names nothing: columns
    are then called by their number, from 0. Empty lines are left out; a file whose name ends in
    .gz is unpacked as it is read.

    Args:
        path: the file, UTF-8 or UTF-16, or as ``encoding`` says.
        header: a first line of whole numbers may be one of names.
        decimal: the decimal mark of numbers, the other one of "." and "," separates thousands;
            without it what may be read in two ways is refused.
        na_values: what stands for no value beside an empty cell, NA, NaN and the like.
        skip: lines above that of the names.
        encoding: that of a file which is neither.

    Raises:
        DataError: the file cannot be read, is empty, names a column twice, a line has another
            number of cells, or a comma may be a decimal one or not.
    """

    row = "line"

    def __init__(
        self,
        path: Path,
        *,
        header: bool = False,
        decimal: Decimal | None = None,
        na_values: Sequence[float | str] | None = None,
        skip: int = 0,
        encoding: str | None = None,
    ) -> None:
        self.path, self.na_values = path, as_marks(na_values)
        separator, skipped, found = read_lines(path, skip, encoding)
        self._skipped, self._encoding = skipped, encoding
        lines = list(found)
        if not lines:
            raise DataError(f"{path} is empty; remove it, or write it anew")
        (number, first), *rest = lines
        if separator == "," and decimal is None and not any(map(is_word, first)):
            refuse_halves(path, lines)
        self.named = any(map(is_word, first)) or (header and named(path, first, rest))
        """Whether the first line names the columns."""
        self.names = (
            [cell.strip() for cell in first] if self.named else [*map(str, range(len(first)))]
        )
        kept = rest if self.named else lines
        self.notes: list[str] = []
        """What was made of cells that might have been meant otherwise."""
        if self.named and not any(map(is_word, first)) and not counts(first):
            self.notes.append(
                f"{path}: the first line, {','.join(first[:3])}, is taken for one of names; if it "
                "holds values, say --data.header false"
            )
        if separator == " ":
            self.notes.append(f"{path}: blanks separate the cells")
        if skipped:
            what = "line is" if skipped == 1 else f"{skipped} lines are"
            self.notes.append(f"{path}: the first {what} no part of the table")
        if not kept:
            raise DataError(f"{path} must have a line of names and one of values")
        if self.named and (words := words_alone(kept, self.na_values or ())):
            last = kept[words - 1][0]
            which, mend = f"line {last} holds", "if the line holds units, take it out"
            if words > 1:
                which = f"lines {kept[0][0]} to {last} hold"
                mend = "leave one line, of names, above the values"
            raise DataError(
                f"{path}: {which} no number, as those below do, but {', '.join(kept[0][1][:3])}",
                self.say_skip()
                or f"; {mend}, or say --data.skip {last}, which calls columns by their number",
            )
        if more := ends(self.names, kept):
            what = "a cell" if more == 1 else f"{more} cells"
            self.notes.append(f"{path}: each line ends in {what} without a name or value")
            self.names = self.names[:-more]
            first, kept = first[:-more], [(at, cells[:-more]) for at, cells in kept]
        for name in self.names:
            if self.names.count(name) > 1:
                raise DataError(f"{path}: line {number} names column {name!r} twice")
        for at, cells in kept:
            if len(cells) != len(first):
                said, above = f"{path}: line {at} has {len(cells)} cells, expected {len(first)}", ""
                more = len(cells) > len(first)
                if not (known := self.say_skip()) and (more or at == kept[0][0]):
                    commas = more and separator == ","
                    said += "; where commas are decimal ones, write points" * commas
                    above = "; if lines stand above that of the names, --data.skip says how many"
                raise DataError(said, known or above)
        self.lines = [at for at, _ in kept]
        self.rows = [cells for _, cells in kept]
        self._columns: dict[str, list[str]] = {}
        self._points: dict[int, tuple[int, str]] = {}
        """In columns with decimal points that are said to be commas, the first such."""
        self._read_signs()
        if decimal is not None:
            self._read_marks(decimal)
        elif separator != ",":
            self._read_commas()

    def say_skip(self) -> str:
        """What to say of lines that seem to stand above that of the names."""
        above = lines_above(self.path, self._encoding)
        if above <= self._skipped:
            return ""
        return f"; if the table begins with line {above + 1}, say --data.skip {above}"

    def turn(self) -> None:
        """Put the last row first."""
        self.lines.reverse()
        self.rows.reverse()
        self._columns.clear()

    def _read_signs(self) -> None:
        """Turn the minus of typesetters into that of programs, and take off signs of currency and
        percent that all numbers of a column carry; a line tells each."""
        for j, name in enumerate(self.names):
            cells = [row[j].strip() for row in self.rows]
            dashes = any(DASH in cell for cell in cells)
            if not dashes and not is_signed(next(filter(None, cells), "")):
                continue
            if dashes:
                typed = [c.replace(DASH, "-") if MINUS.fullmatch(c) else c for c in cells]
                if typed != cells:
                    self.notes.append(f"{self.path}: column {name!r}: {DASH} is read as -")
                cells = typed
            if read := without_sign(cells):
                cells = read[0]
                self.notes.append(f"{self.path}: column {name!r}: {read[1]} is taken off numbers")
            for row, cell in zip(self.rows, cells, strict=True):
                row[j] = cell

    def _read_marks(self, decimal: Decimal) -> None:
        """Turn this decimal mark into points, and leave out what separates thousands."""
        for j in range(len(self.names)):
            read = [plain(row[j], decimal) for row in self.rows]
            for at, row, cell in zip(self.lines, self.rows, read, strict=True):
                if decimal == "," and row[j] == cell and "." in cell and is_number(cell):
                    self._points[j] = at, cell
                    break  # and the column stays as it is: times may have points
            else:
                for row, cell in zip(self.rows, read, strict=True):
                    row[j] = cell

    def _read_commas(self) -> None:
        """Turn decimal commas into points, where a column's numbers have such throughout.

        Raises:
            DataError: marks may be decimal ones or separate thousands.
        """
        point: tuple[int, str] | None = None
        comma: tuple[int, str] | None = None
        unclear: tuple[str, int, str] | None = None
        clear = False
        for j, name in enumerate(self.names):
            told = self.first(name)
            if not (COMMA.fullmatch(told) or is_number(told)):
                continue
            cells = self.column(name)
            with_comma = [i for i, cell in enumerate(cells) if COMMA.fullmatch(cell)]
            with_point = [i for i, cell in enumerate(cells) if "." in cell and is_number(cell)]
            marked = sorted(with_comma + with_point)
            if marked and all(GROUPS.fullmatch(cells[i]) for i in marked):
                unclear = unclear or (name, marked[0], cells[marked[0]])
            if with_point and point is None:
                point = with_point[0], cells[with_point[0]]
            if not with_comma:
                continue
            comma = comma or (with_comma[0], cells[with_comma[0]])
            clear = clear or any(not GROUPS.fullmatch(cells[i]) for i in with_comma)
            for i in with_comma:
                self.rows[i][j] = cells[i].replace(",", ".")
            del self._columns[name]
        if comma:
            self.notes.append(
                f"{self.path}: commas in numbers are decimal ones, {comma[1]} is "
                f"{comma[1].replace(',', '.')}"
            )
        if comma and point:
            raise DataError(
                f"{self.path}: line {self.lines[comma[0]]} has {comma[1]!r} with a comma, line "
                f"{self.lines[point[0]]} {point[1]!r} with a point",
                _SAY_DECIMAL,
            )
        if unclear and not clear:
            raise DataError(
                f"{self.path}: line {self.lines[unclear[1]]}, column {unclear[0]!r}: the mark of "
                f"{unclear[2]!r} may be a decimal one or separate thousands",
                "; say --data.decimal '.' or --data.decimal ',', the other one then separates "
                "thousands",
            )

    def column(self, name: str) -> list[str]:
        """The cells of a column, without the blanks around them."""
        if name not in self._columns:
            at = self.names.index(name)
            self._columns[name] = [cells[at].strip() for cells in self.rows]
        return self._columns[name]

    def require(self, names: Iterable[str]) -> None:
        """Raise a `DataError` that names the first of these columns that is not there."""
        require_columns(self.path, self.names, names)

    def time_column(self) -> str | None:
        """The column called so, the first one whose cells look so, or an index.

        Cells without a value do not tell: a channel's first one may be missing.
        """
        for name in self.names:
            if name.lower() in TIMES:
                return name
        for name in self.names:
            if ways_to_read(self.first(name)):
                return name
        for name in self.names:
            if name.lower() in CALENDAR and calendar(self.column(name)):
                return name
        for name in self.names:
            cells = self.column(name)
            if (
                stamp(cells[:2])
                and stamp(cells)
                and [*cells] in (sorted(cells), sorted(cells)[::-1])
            ):
                return name
        return self.names[0] if self.names[0].lower() in INDEX else None

    def first(self, name: str) -> str:
        """The first cell of a column that holds a value, or nothing."""
        marks = self.na_values or ()
        cells = (cell for cell in self.column(name) if not (is_nothing(cell) or cell in marks))
        return next(cells, "")

    def values(self, names: Sequence[str], missing: Missing) -> NDArray[np.float64]:
        """The columns as numbers (T, C), NaN where there is none.

        Raises:
            DataError: a cell holds no number, and no word for that either; or a value is missing,
                and refused.
        """
        places = [self.names.index(name) for name in names]
        out = np.empty((len(self.rows), len(places)))
        for j, at in enumerate(places):
            if at in self._points:
                line, cell = self._points[at]
                raise DataError(
                    f"{self.path}: line {line}, column {names[j]!r} has {cell!r}, whose point "
                    "separates no thousands; the decimal mark was said to be a comma"
                )
            cells = self.truths(names[j]) or [row[at] for row in self.rows]
            try:
                out[:, j] = [float(cell) for cell in cells]
                whole = bool(np.isfinite(out[:, j]).all()) and not any("_" in c for c in cells)
            except ValueError:
                whole = False
            if self.na_values:
                whole = whole and not absent(out[:, j], self.na_values).any()
            if not whole:  # Cell by cell, to say which one.
                for i, cell in enumerate(cells):
                    out[i, j] = self._value(cell, i, names[j], missing)
        return out

    def truths(self, name: str) -> list[str] | None:
        """The cells of a column of TRUE and FALSE, or another such pair of words, as 1 and 0; None
        of any other column."""
        marks = self.na_values or ()
        return truths(self.column(name), marks) if truths([self.first(name)]) else None

    def _no_number(self, where: str, cell: str, row: int) -> DataError:
        """A cell that is no number, and what may be done about it."""
        said, text = f"{where} must be a number, got {cell!r}", cell.strip()
        if above := self.say_skip():
            return DataError(said, above)
        if THOUSANDS.fullmatch(text):
            return DataError(said, _SAY_DECIMAL)
        if text.startswith("(") and text.endswith(")"):
            return DataError(f"{said}; if it is below zero, write -{text[1:-1]}")
        if is_signed(text):
            return DataError(f"{said}; signs are read where all numbers of a column carry the same")
        letters = not any(map(str.isdecimal, text))
        if row == 0 and letters:
            return DataError(f"{said}; if the line holds units, take it out")
        if letters:
            word = json.dumps(text)
            return DataError(said, f"; if it stands for no value, say --data.na_values '[{word}]'")
        return DataError(said)

    def _value(self, cell: str, row: int, column: str, missing: Missing) -> float:
        text = cell.strip()
        where = f"{self.path}: line {self.lines[row]}, column {column!r}"
        marks = self.na_values or ()
        value = float(text) if is_number(text) else math.nan
        if math.isnan(value):
            if not (is_nothing(text) or text in marks):
                raise self._no_number(where, cell, row)
        elif value in marks:
            value = math.nan
        if missing == "refuse" and not math.isfinite(value):
            raise DataError(f"{where} has no value ({cell!r}); mend it", OR_MISSING)
        return value


def calendar(cells: Sequence[str]) -> str | None:
    """How cells that only rise or only fall are years, or their months or days, as strptime has
    it."""
    year, month = r"(1[5-9]|2[01])\d\d", r"(0[1-9]|1[0-2])"
    for form, pattern in (("%Y", year), ("%Y%m", year + month), ("%Y%j", year + r"[0-3]\d\d")):
        if all(re.fullmatch(pattern, cell) for cell in cells):
            steps = np.diff([int(cell) for cell in cells])
            return form if len(steps) and ((steps > 0).all() or (steps < 0).all()) else None
    return None


def require_columns(path: Path, there: Sequence[str], wanted: Iterable[str]) -> None:
    """Refuse a table without one of these columns.

    Raises:
        DataError: names the first that is not there.
    """
    for name in wanted:
        if name not in there:
            raise DataError(f"{path} has no column {name!r}, only {', '.join(there)}")
