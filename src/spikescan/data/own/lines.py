"""The lines of a CSV file, whatever separates their cells."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from spikescan.data.root import DataError
from spikescan.data.times import is_number

_SEPARATORS = ",;\t|"
_ABOVE = re.compile(r"(sep=.\r?\n)?(#[^\n]*\n)*")
"""What may stand above the names: the separator, as spreadsheets have it, and comments."""


def read_lines(
    path: Path, skip: int = 0, encoding: str | None = None
) -> tuple[str, int, Iterable[tuple[int, list[str]]]]:
    """What separates cells, how many lines above the names are skipped, and those below that are
    not empty, with their number.

    Args:
        path: the file.
        skip: lines at its top that are no part of the table.
        encoding: see :func:`read_text`.

    Raises:
        DataError: it cannot be read, or has no more lines than are skipped.
    """
    text = read_text(path, encoding)
    lines = text.split("\n", skip)
    if skip and not (len(lines) > skip and lines[-1].strip()):
        raise DataError(f"{path} has no line below the first {skip}, which skip leaves out")
    text = lines[-1]
    above = _ABOVE.match(text)
    assert above is not None
    skipped, text = above[0], text[above.end() :]
    if "#" in skipped:  # The last of them names the columns where values follow.
        last = skipped.splitlines(keepends=True)[-1]
        names, below = last.lstrip("# "), text.partition("\n")[0]
        even = any(names.count(mark) == below.count(mark) > 0 for mark in _SEPARATORS)
        even = even and re.search(r"(^|[,;\t|])\s*[-+]?[.\d]", below) is not None
        if even or _in_blanks(names, below):
            skipped, text = skipped.removesuffix(last), names + text
    first, _, rest = text.lstrip("\r\n ").partition("\n")
    second = rest.lstrip("\r\n ").partition("\n")[0]
    counts = {mark: first.count(mark) for mark in _SEPARATORS}
    # A mark that is as often in the next line separates; a comma beside another one does not.
    steady = [mark for mark in _SEPARATORS if 0 < counts[mark] == second.count(mark)]
    separator = max([m for m in steady if m != ","] or steady or counts, key=lambda m: counts[m])
    count = skip + skipped.count("\n")
    if told := re.match(r"sep=(.)", skipped):
        separator = told[1]
    if not any(counts.values()) and _in_blanks(first, second):
        text = "\n".join(" ".join(line.split()) for line in text.splitlines())
        separator = " "
    return separator, count, _split(path, text, separator, count)


def _in_blanks(first: str, second: str) -> bool:
    """Whether blanks stand between the numbers of a second line, as many as in the first."""
    cells = second.split()
    return len(first.split()) == len(cells) > 1 and all(map(is_number, cells))


def _split(path: Path, text: str, separator: str, above: int) -> Iterable[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield above + reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path}: line {above + reader.line_num} is no CSV ({error})") from error


def lines_above(path: Path, encoding: str | None) -> int:
    """How many lines stand above one of words below which, to the end of the file, each line has as
    many cells; 0 where there is no such line, or nothing above it."""
    lines = read_text(path, encoding).rstrip().splitlines()
    first = len(lines)
    for mark in _SEPARATORS:
        cells = [len(_cells(line, mark)) for line in lines]
        if cells and cells[-1] > 1:
            begin = max((i + 1 for i, n in enumerate(cells) if n != cells[-1]), default=0)
            names = _cells(lines[begin], mark)
            if len(lines) - begin > 2 and not any(map(is_number, names)):
                first = min(first, begin)
    return 0 if first == len(lines) else first


def _cells(line: str, mark: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=mark), [])
    except csv.Error:  # a line of megabytes
        return [line]


def require_encoding(encoding: str | None) -> None:
    """Refuse an encoding that is not known.

    Raises:
        ValueError: it is none.
    """
    try:
        with suppress(UnicodeError):  # which two bytes a letter make of one
            b"a".decode(encoding or "utf-8")
    except LookupError:
        raise ValueError(
            f"encoding must be one that Python knows, such as cp1252, got {encoding!r}"
        ) from None


def read_text(path: Path, encoding: str | None = None) -> str:
    """The text of a file; one whose name ends in .gz is unpacked.

    Args:
        path: the file.
        encoding: that of a file which is not UTF-8; None where whoever reads could be told one.

    Raises:
        DataError: it cannot be read, or is neither UTF-8 nor, as its first bytes say, UTF-16, nor
            in that encoding.
    """
    try:
        content = (
            gzip.decompress(path.read_bytes())
            if path.suffix.lower() == ".gz"
            else path.read_bytes()
        )
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    try:
        wide = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        try:
            text = content.decode(encoding or "utf-8")
        except UnicodeDecodeError:
            bad = content[error.start]
            raise DataError(
                f"{path} is not UTF-8 text (byte {bad:#04x} at {error.start:,}); save it as UTF-8",
                ", or say which it is, as in --data.encoding cp1252" if encoding is None else "",
            ) from error
    if "\0" in text:
        raise DataError(f"{path} is not text: it holds zero bytes")
    return text
