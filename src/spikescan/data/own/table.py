"""CSV files: names, cells, and values with the line and column of what is wrong."""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikescan.data.gaps import Missing
from spikescan.data.root import DataError
from spikescan.data.times import is_number, stamp, ways_to_read

_NOTHING = {"", "na", "n/a", "nan", "null", "none", "?"}
"""What stands in a cell that has no value, in small letters."""
TIMES = (
    *("time", "timestamp", "datetime", "date", "time_s", "seconds", "date_time", "date time", "ds"),
    *("datum", "zeit", "zeitpunkt", "zeitstempel", "uhrzeit"),
)
CALENDAR = ("year", "jahr", "month", "monat", "period", "yearmonth")
"""What columns of years, or of months as 202401, are called."""
INDEX = ("", "index", "unnamed: 0")
"""What the column of row numbers is called."""
_SEPARATORS = ",;\t"
_ABOVE = re.compile(r"(sep=.\r?\n)?(#[^\n]*\n)*")
"""What may stand above the names: the separator, as spreadsheets have it, and comments."""
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
"""A number with a decimal comma."""
_THOUSANDS = re.compile(r"[+-]?\d{1,3}([,.' ]\d{3})+([.,]\d*)?")
"""A number with separators of thousands."""
_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}([.,]\d{3})+")
"""A number whose marks may be decimal ones or separate thousands."""


class Table:
    """The lines of a CSV file, as text.

    Cells are separated by comma, semicolon or tab, whichever the first line has most of. Beside
    semicolons and tabs, commas in numbers are decimal ones, which become points. A first
    line of values alone names nothing: columns are then called by their number, from 0. Empty
    lines are left out; a file whose name ends in .gz is unpacked as it is read.

    Args:
        path: the file, UTF-8.
        header: a first line of whole numbers may be one of names.

    Raises:
        DataError: the file cannot be read, is empty, names a column twice, a line has another
            number of cells, or a comma may be a decimal one or not.
    """

    row = "line"

    def __init__(self, path: Path, *, header: bool = False) -> None:
        self.path = path
        separator, skipped, found = _lines(path)
        lines = list(found)
        if not lines:
            raise DataError(f"{path} is empty; remove it, or write it anew")
        (number, first), *rest = lines
        if separator == "," and not any(map(_is_word, first)):
            _refuse_halves(path, lines)
        self.named = any(map(_is_word, first)) or (header and _named(path, first, rest))
        """Whether the first line names the columns."""
        self.names = (
            [cell.strip() for cell in first] if self.named else [*map(str, range(len(first)))]
        )
        kept = rest if self.named else lines
        self.notes: list[str] = []
        """What was made of cells that might have been meant otherwise."""
        if skipped:
            what = "line is" if skipped == 1 else f"{skipped} lines are"
            self.notes.append(f"{path}: the first {what} no part of the table")
        if not kept:
            raise DataError(f"{path} must have a line of names and one of values")
        if more := _ends(self.names, kept):
            what = "a cell" if more == 1 else f"{more} cells"
            self.notes.append(f"{path}: each line ends in {what} without a name or value")
            self.names = self.names[:-more]
            first, kept = first[:-more], [(at, cells[:-more]) for at, cells in kept]
        for name in self.names:
            if self.names.count(name) > 1:
                raise DataError(f"{path}: line {number} names column {name!r} twice")
        for at, cells in kept:
            if len(cells) != len(first):
                more = separator == "," and len(cells) > len(first)
                hint = "; where commas are decimal ones, write points" if more else ""
                raise DataError(
                    f"{path}: line {at} has {len(cells)} cells, expected {len(first)}{hint}"
                )
        self.lines = [at for at, _ in kept]
        self.rows = [cells for _, cells in kept]
        self._columns: dict[str, list[str]] = {}
        if separator != ",":
            self._read_commas(separator)

    def turn(self) -> None:
        """Put the last row first."""
        self.lines.reverse()
        self.rows.reverse()
        self._columns.clear()

    def _read_commas(self, separator: str) -> None:
        """Turn decimal commas into points, where a column's numbers have such throughout.

        Raises:
            DataError: marks may be decimal ones or separate thousands.
        """
        point: tuple[int, str] | None = None
        comma: tuple[int, str] | None = None
        unclear: tuple[str, int, str] | None = None
        for j, name in enumerate(self.names):
            told = self.first(name)
            if not (_COMMA.fullmatch(told) or is_number(told)):
                continue
            cells = self.column(name)
            with_comma = [i for i, cell in enumerate(cells) if _COMMA.fullmatch(cell)]
            with_point = [i for i, cell in enumerate(cells) if "." in cell and is_number(cell)]
            marked = sorted(with_comma + with_point)
            if marked and all(_GROUPS.fullmatch(cells[i]) for i in marked):
                unclear = unclear or (name, marked[0], cells[marked[0]])
            if with_point and point is None:
                point = with_point[0], cells[with_point[0]]
            if not with_comma:
                continue
            comma = comma or (with_comma[0], cells[with_comma[0]])
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
                f"{self.lines[point[0]]} {point[1]!r} with a point; write all decimal marks as "
                "points, and no separators of thousands"
            )
        if unclear:
            raise DataError(
                f"{self.path}: line {self.lines[unclear[1]]}, column {unclear[0]!r}: the mark of "
                f"{unclear[2]!r} may be a decimal one or separate thousands; write no separators "
                "of thousands; if it is a decimal one, write points, and commas between the cells"
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
        return next((cell for cell in self.column(name) if not _is_nothing(cell)), "")

    def values(self, names: Sequence[str], missing: Missing) -> NDArray[np.float64]:
        """The columns as numbers (T, C), NaN where there is none.

        Raises:
            DataError: a cell holds no number, and no word for that either; or a value is missing,
                and refused.
        """
        places = [self.names.index(name) for name in names]
        out = np.empty((len(self.rows), len(places)))
        for j, at in enumerate(places):
            cells = [row[at] for row in self.rows]
            try:
                out[:, j] = [float(cell) for cell in cells]
                plain = bool(np.isfinite(out[:, j]).all()) and not any("_" in c for c in cells)
            except ValueError:
                plain = False
            if not plain:  # Cell by cell, to say which one.
                for i, cell in enumerate(cells):
                    out[i, j] = self._value(cell, i, names[j], missing)
        return out

    def _value(self, cell: str, row: int, column: str, missing: Missing) -> float:
        text = cell.strip()
        where = f"{self.path}: line {self.lines[row]}, column {column!r}"
        if is_number(text):
            value = float(text)
        elif _is_nothing(text):
            value = math.nan
        else:
            thousands = "; write no separators of thousands" if _THOUSANDS.fullmatch(text) else ""
            raise DataError(f"{where} must be a number, got {cell!r}{thousands}")
        if missing == "refuse" and not math.isfinite(value):
            raise DataError(
                f"{where} has no value ({cell!r}); mend it, or say missing='hold' or missing='zero'"
            )
        return value


def _is_nothing(cell: str) -> bool:
    return cell.strip().lower() in _NOTHING


def _is_word(cell: str) -> bool:
    """Whether a cell holds something that is no value, so that it may be a name."""
    text = cell.strip()
    return not (is_number(text) or _is_nothing(text) or _COMMA.fullmatch(text)) and not (
        ways_to_read(text)
    )


def _ends(names: list[str], lines: list[tuple[int, list[str]]]) -> int:
    """How many columns without a name or a value a table ends in."""
    last = 0
    while last < len(names) - 1 and not names[-1 - last]:
        if any(len(cells) != len(names) or cells[-1 - last].strip() for _, cells in lines):
            break
        last += 1
    return last


def _refuse_halves(path: Path, lines: list[tuple[int, list[str]]]) -> None:
    """Refuse a file whose lines may be numbers with a decimal comma, each of which became two.

    Raises:
        DataError: names the first line.
    """
    halves = [[cell.strip() for cell in cells] for _, cells in lines]
    if any(len(pair) != 2 for pair in halves) or halves[0] == ["0", "1"]:
        return
    digits = len(halves[0][1])
    if all(re.fullmatch(r"[+-]?\d+", a) and b.isdecimal() and len(b) == digits for a, b in halves):
        raise DataError(
            f"{path}: line {lines[0][0]}, {','.join(halves[0])}, may be one number with a decimal "
            "comma or two numbers; write the one with a point, or put a line of names above the two"
        )


def _named(path: Path, first: list[str], rest: list[tuple[int, list[str]]]) -> bool:
    """Whether a first line without words is one of names: of numbers that count columns, with that
    of an index before them or not, or of whole ones above others.

    Raises:
        DataError: it may be one or not.
    """
    cells = [cell.strip() for cell in first]
    counted = cells[1:] if cells[0] == "" else cells
    if counted and counted == [*map(str, range(len(counted)))] and len(cells) > 1:
        return True
    if not all(cell.isdecimal() for cell in counted) or len({*cells}) < len(cells) or not rest:
        return False
    if all(cell.strip().lstrip("+-").isdecimal() for _, row in rest[:100] for cell in row):
        raise DataError(
            f"{path}: the first line, {','.join(cells[:3])}, may be one of names or of values; "
            "write names that are no numbers, or say --data.header false"
        )
    return True


def calendar(cells: Sequence[str]) -> str | None:
    """How cells that only rise or only fall are years, or months, as strptime has it."""
    year, month = r"(1[5-9]|2[01])\d\d", r"(0[1-9]|1[0-2])"
    for form, pattern in (("%Y", year), ("%Y%m", year + month)):
        if all(re.fullmatch(pattern, cell) for cell in cells):
            steps = np.diff([int(cell) for cell in cells])
            return form if len(steps) and ((steps > 0).all() or (steps < 0).all()) else None
    return None


def _lines(path: Path) -> tuple[str, int, Iterable[tuple[int, list[str]]]]:
    """What separates cells, how many lines above the names are skipped, and those below that are
    not empty, with their number."""
    text = read_text(path)
    above = _ABOVE.match(text)
    assert above is not None
    skipped, text = above[0], text[above.end() :]
    if "#" in skipped:  # The last of them names the columns where values follow.
        last = skipped.splitlines(keepends=True)[-1]
        below = text.partition("\n")[0]
        even = any(last.count(mark) == below.count(mark) > 0 for mark in _SEPARATORS)
        if even and re.search(r"(^|[,;\t])\s*[-+]?[.\d]", below):
            skipped, text = skipped.removesuffix(last), last + text
    first, _, rest = text.lstrip("\r\n ").partition("\n")
    second = rest.lstrip("\r\n ").partition("\n")[0]
    counts = {mark: first.count(mark) for mark in _SEPARATORS}
    # A mark that is as often in the next line separates; a comma beside another one does not.
    steady = [mark for mark in _SEPARATORS if 0 < counts[mark] == second.count(mark)]
    separator = max([m for m in steady if m != ","] or steady or counts, key=lambda m: counts[m])
    count = skipped.count("\n")
    return separator, count, _split(path, text, separator, count)


def _split(path: Path, text: str, separator: str, above: int) -> Iterable[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield above + reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path}: line {above + reader.line_num} is no CSV ({error})") from error


def read_text(path: Path) -> str:
    """The text of a file; one whose name ends in .gz is unpacked.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad = content[error.start]
        raise DataError(
            f"{path} is not UTF-8 text (byte {bad:#04x} at {error.start:,}); save it as UTF-8"
        ) from error
    if "\0" in text:
        raise DataError(f"{path} is not text: it holds zero bytes")
    return text


def require_columns(path: Path, there: Sequence[str], wanted: Iterable[str]) -> None:
    """Refuse a table without one of these columns.

    Raises:
        DataError: names the first that is not there.
    """
    for name in wanted:
        if name not in there:
            raise DataError(f"{path} has no column {name!r}, only {', '.join(there)}")
