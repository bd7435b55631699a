"""What a person's files are, told from their names and first lines."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Literal

from spikescan.data.frame import ENDS
from spikescan.data.own.columns import in_runs
from spikescan.data.own.csv import IDS
from spikescan.data.own.heads import words_alone
from spikescan.data.own.items import LABEL, PATH, column
from spikescan.data.own.lines import lines_above, read_lines, read_text
from spikescan.data.own.marks import COMMA, Decimal, is_nothing
from spikescan.data.own.table import Table
from spikescan.data.own.text import TextFiles
from spikescan.data.own.ts import Ts, split_files
from spikescan.data.own.wav import Wav
from spikescan.data.root import DataError
from spikescan.data.times import is_number

Kind = Literal["wav", "csv", "npz", "ts", "text", "series"]

_ENDS: dict[str, Kind] = {
    **dict.fromkeys(Wav.suffixes, "wav"),
    **dict.fromkeys(TextFiles.suffixes, "text"),
    ".csv": "csv",
    ".tsv": "csv",
    ".npz": "npz",
    ".ts": "ts",
}
KNOWN = ", ".join(_ENDS)
_TURNED: dict[str, str] = {
    **dict.fromkeys((".mp3", ".m4a", ".opus", ".aac"), "not read; turn it into .wav"),
    ".arff": "not read; write its series to an .ts or .npz file",
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "a spreadsheet; save it as CSV"),
    **dict.fromkeys(
        (".parquet", ".feather", ".pkl", ".mat", ".npy", ".edf", ".zip"),
        "not read; write its arrays to an .npz file, or its table as CSV",
    ),
}
"""What is said of files that can be turned into others."""
_WIDE = 20
"""Columns of a table whose lines may be sequences, more than."""
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?(e\+00)?")
_CELLS = 10
"""Numbers by which a text is known to hold such alone, at least."""
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def kind_of(
    place: Path, *, decimal: Decimal | None = None, skip: int = 0, encoding: str | None = None
) -> Kind:
    """The kind of a folder, by the files that it has most of, or of a file.

    Args:
        place: the folder or file.
        decimal: the decimal mark of a table, where it is told.
        skip: lines above the names of a table.
        encoding: that of a file which is not UTF-8.

    Raises:
        DataError: there is nothing, or nothing that is known.
    """
    if place.is_dir():
        deep: Counter[Kind | None] = Counter()
        flat: Counter[Kind | None] = Counter()
        for file in place.rglob("*"):
            if file.is_file() and not file.name.startswith("."):
                (flat if file.parent == place else deep)[_kind(file)] += 1
        # Of files beside the class folders, a .ts or .npz is a data set; a CSV may be a note.
        for found, _ in (deep or flat).most_common():
            if found == "text":
                _refuse_numbers(place)
            if found is not None:
                return found
        images = any(file.suffix.lower() in _IMAGES for file in place.rglob("*"))
        hint = "; images go in as the arrays of an .npz file" if images else ""
        turned = next((f for f in sorted(place.rglob("*")) if f.suffix.lower() in _TURNED), None)
        if turned is not None:
            hint = f"; {turned} is {_TURNED[turned.suffix.lower()]}"
        raise DataError(f"{place} has no files of a kind that is read: {KNOWN}{hint}")
    if not place.is_file():
        if place.suffix in Ts.suffixes and split_files(place)[0].is_file():
            return "ts"
        raise DataError(f"there is no {place}")
    if place.suffix.lower() in ENDS:
        return "series"
    kind = _kind(place)
    if kind == "wav":
        raise DataError(
            f"{place} is one recording, which has no class; give the folder that has a folder for "
            "each class"
        )
    if kind is None and (said := _TURNED.get(place.suffix.lower())):
        raise DataError(f"{place} is {said}")
    if kind is None:
        read_text(place, encoding or "utf-8")  # Whatever it is called, it may be a text.
        kind = "text"
    if kind == "text" and not _holds_table(place, skip, encoding):
        _refuse_table(place, encoding)
        return kind
    if kind not in ("csv", "text"):
        return kind
    table = Table(place, decimal=decimal, skip=skip, encoding=encoding)
    path = column(table, PATH)
    if path is not None:
        first = Path(table.column(path)[0])
        listed = _kind(first)
        if listed is None:
            raise DataError(f"{place} lists {first}, and files are read that end in {KNOWN}")
        return listed
    label = column(table, LABEL)
    if column(table, IDS) is not None and label is not None:
        return "csv"
    if label is not None and not is_number(table.first(label)):
        how = of_classes(table) or "leave it out with --data.columns, and say --kind series"
        raise DataError(f"{place} cannot be forecast, as {label!r} is no number; {how}")
    return "series"


def of_classes(table: Table) -> str | None:
    """Why a table that may hold sequences of classes, below each other, is not taken for such, and
    what to do if it does."""
    label = column(table, LABEL)
    if label is not None and not _few(table, label):
        label = None
    ends = (label, table.names[0], table.names[-1])
    of_line = next((n for n in ends if n is not None and _few(table, n)), None)
    if of_line is not None and len(table.names) > _WIDE and table.time_column() is None:
        return (
            f"{table.path.name}: if each line is a sequence, and column {of_line!r} its class, "
            "write an .npz file of them, with x (N, T) and y (N,)"
        )
    named = column(table, IDS)
    may_be = [n for n in table.names if re.search(r"(^|[_ ])id$", n, re.IGNORECASE)]
    ids = next((n for n in [named, *may_be] if n is not None and in_runs(table.column(n))), None)
    if ids is None and label is None:
        return None
    said = f"{table.path.name} is not taken for sequences of classes: "
    if ids is None:
        return (
            f"{said}column {label!r} may be that of the classes, and none called "
            f"{' or '.join(IDS[:3])} says which sequence a row belongs to; add one, or name it: "
            "--kind csv --data.id COLUMN"
        )
    id_ = "" if ids == named else f" --data.id {shlex.quote(ids)}"
    if label is None:
        others = (
            n for n in table.names if n != ids and _few(table, n) and _one_each(table, ids, n)
        )
        found = next(others, None)
        may = f", as {found!r} may be" if found else ""
        return (
            f"{said}{ids!r} may tell them apart, and no column is called {' or '.join(LABEL)}"
            f"{may}; if they have classes, say --kind csv{id_} --data.label "
            f"{shlex.quote(found or 'COLUMN')}"
        )
    return (
        f"{said}{label!r} may be that of the classes, and {ids!r} tell sequences apart; if so, say "
        f"--kind csv{id_}"
    )


def _holds_table(place: Path, skip: int, encoding: str | None) -> bool:
    """Whether the lines of a text have equally many cells, half of them numbers, but for those of
    names and units."""
    try:
        first, *below = islice(read_lines(place, skip, encoding)[2], 100)
    except (DataError, ValueError):
        return False  # quotes of a tale are none of a table
    rows = [first[1], *(cells for _, cells in below[words_alone(below) :])]
    if len(rows) < 3 or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return False
    return all(2 * sum(map(_may_be_number, row)) >= len(row) for row in rows[1:])


def _refuse_numbers(place: Path) -> None:
    """Refuse a folder whose first text is one of numbers.

    Raises:
        DataError: names it.
    """
    texts = (file for file in sorted(place.rglob("*")) if _kind(file) == "text" and file.is_file())
    for file in islice(texts, 1):
        if _of_numbers(file):
            raise DataError(
                f"{place} has texts of numbers, such as {file}; if these are tables, a step a line,"
                f" call them {file.stem}.csv and so on; --kind text reads them letter by letter"
            )


def _refuse_table(place: Path, encoding: str | None) -> None:
    """Refuse a text that is a table below some lines, or holds little but numbers.

    Raises:
        DataError: it is one.
    """
    way = ", --kind text letter by letter"
    if (above := lines_above(place, encoding)) and _holds_table(place, above, encoding):
        raise DataError(
            f"{place} seems to be a table that begins with line {above + 1}; say --data.skip "
            f"{above}; --kind text reads it letter by letter"
        )
    if _of_numbers(place):
        raise DataError(
            f"{place} holds little but numbers, and not two and more in each line alike; if "
            "lines of names or units stand above a table, say --data.skip with their number; "
            f"--kind series reads it as a table all the same{way}"
        )


def _of_numbers(file: Path) -> bool:
    """Whether most words of a text are numbers, by how it begins."""
    cells = re.split(r"[\s,;]+", read_text(file, "latin-1")[:4096].strip())[:-1]
    return len(cells) >= _CELLS and sum(map(is_number, cells)) >= 0.7 * len(cells)


def _may_be_number(cell: str) -> bool:
    text = cell.strip()
    return is_number(text) or is_nothing(text) or COMMA.fullmatch(text) is not None


def _few(table: Table, name: str) -> bool:
    """Whether a column holds a few values again and again, words or whole numbers."""
    cells = {*table.column(name)}
    whole = all(_WHOLE.fullmatch(cell) or not is_number(cell) for cell in cells)
    return whole and 2 <= len(cells) <= min(100, len(table.rows) // 5)


def _one_each(table: Table, ids: str, name: str) -> bool:
    pairs = {*zip(table.column(ids), table.column(name), strict=True)}
    return len(pairs) == len({*table.column(ids)})


def _kind(file: Path) -> Kind | None:
    name = file.name.lower()
    if file.name.endswith(("_TRAIN.tsv", "_TEST.tsv")):
        return "ts"  # of the UCR archive
    return _ENDS.get(Path(name.removesuffix(".gz")).suffix)
