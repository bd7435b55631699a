"""CSV files: names, cells, and values with the line and column of what is wrong."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikescan.data.gaps import Missing
from spikescan.data.root import DataError

_NOTHING = {"", "na", "n/a", "nan", "null", "none", "?"}
"""What stands in a cell that has no value, in small letters."""
TIMES = ("time", "timestamp", "datetime", "date", "time_s", "seconds")
_COUNTS = ("", "index")
_SEPARATORS = ",;\t"


class Table:
    """The lines of a CSV file, as text.

    Cells are separated by comma, semicolon or tab, whichever the first line has most of. A first
    line of numbers alone names nothing: columns are then called by their number, from 0. Empty
    lines are left out; a file whose name ends in .gz is unpacked as it is read.

    Args:
        path: the file, UTF-8.
        header: the first line has to be one of names.

    Raises:
        DataError: the file cannot be read, is empty, names a column twice, or a line has another
            number of cells.
    """

    row = "line"

    def __init__(self, path: Path, *, header: bool = False) -> None:
        self.path = path
        lines = list(_lines(path))
        if not lines:
            raise DataError(f"{path} is empty; remove it, or write it anew")
        (number, first), *rest = lines
        named = header or not all(is_number(cell) or _is_nothing(cell) for cell in first)
        self.names = [cell.strip() for cell in first] if named else [*map(str, range(len(first)))]
        kept = rest if named else lines
        if not kept:
            raise DataError(f"{path} must have a line of names and one of values")
        for name in self.names:
            if self.names.count(name) > 1:
                raise DataError(f"{path}: line {number} names column {name!r} twice")
        for at, cells in kept:
            if len(cells) != len(first):
                raise DataError(f"{path}: line {at} has {len(cells)} cells, expected {len(first)}")
        self.lines = [at for at, _ in kept]
        self.rows = [cells for _, cells in kept]
        self._columns: dict[str, list[str]] = {}

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
        """The column called so, or the first one, when it holds no number or an index.

        Cells without a value do not tell: a channel's first one may be missing.
        """
        for name in self.names:
            if name.lower() in TIMES:
                return name
        first = self.names[0]
        told = next((cell for cell in self.column(first) if not _is_nothing(cell)), "0")
        return first if first.lower() in _COUNTS or not is_number(told) else None

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
            raise DataError(f"{where} must be a number, got {cell!r}")
        if missing == "refuse" and not math.isfinite(value):
            raise DataError(
                f"{where} has no value ({cell!r}); mend it, or say missing='hold' or missing='zero'"
            )
        return value


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, as a program would write it."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # which Python allows between digits


def _is_nothing(cell: str) -> bool:
    return cell.strip().lower() in _NOTHING


def _lines(path: Path) -> Iterable[tuple[int, list[str]]]:
    """The lines that are not empty, with their number."""
    text = read_text(path)
    first = text.lstrip().partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is no CSV ({error})") from error


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
