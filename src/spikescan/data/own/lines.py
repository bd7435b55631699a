"""The lines of a CSV file, whatever separates their cells."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from spikescan.data.root import DataError
from spikescan.data.times import is_number

_SEPARATORS = ",;\t"
_ABOVE = re.compile(r"(sep=.\r?\n)?(#[^\n]*\n)*")
"""What may stand above the names: the separator, as spreadsheets have it, and comments."""


def read_lines(path: Path) -> tuple[str, int, Iterable[tuple[int, list[str]]]]:
    """What separates cells, how many lines above the names are skipped, and those below that are
    not empty, with their number."""
    text = read_text(path)
    above = _ABOVE.match(text)
    assert above is not None
    skipped, text = above[0], text[above.end() :]
    if "#" in skipped:  # The last of them names the columns where values follow.
        last = skipped.splitlines(keepends=True)[-1]
        names, below = last.lstrip("# "), text.partition("\n")[0]
        even = any(names.count(mark) == below.count(mark) > 0 for mark in _SEPARATORS)
        even = even and re.search(r"(^|[,;\t])\s*[-+]?[.\d]", below) is not None
        if even or _in_blanks(names, below):
            skipped, text = skipped.removesuffix(last), names + text
    first, _, rest = text.lstrip("\r\n ").partition("\n")
    second = rest.lstrip("\r\n ").partition("\n")[0]
    counts = {mark: first.count(mark) for mark in _SEPARATORS}
    # A mark that is as often in the next line separates; a comma beside another one does not.
    steady = [mark for mark in _SEPARATORS if 0 < counts[mark] == second.count(mark)]
    separator = max([m for m in steady if m != ","] or steady or counts, key=lambda m: counts[m])
    count = skipped.count("\n")
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


def read_text(path: Path) -> str:
    """The text of a file; one whose name ends in .gz is unpacked.

    Raises:
        DataError: it cannot be read, or is neither UTF-8 nor, as its first bytes say, UTF-16.
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
        bad = content[error.start]
        raise DataError(
            f"{path} is not UTF-8 text (byte {bad:#04x} at {error.start:,}); save it as UTF-8"
        ) from error
    if "\0" in text:
        raise DataError(f"{path} is not text: it holds zero bytes")
    return text
