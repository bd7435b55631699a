"""What a table begins with: a line of names or of values, and of words between the two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spikescan.data.own.marks import COMMA, MINUS, is_nothing, is_signed
from spikescan.data.root import DataError
from spikescan.data.times import is_number, ways_to_read

_WORDS = 5
"""Lines of units and the like below that of the names, at most."""


def counts(first: list[str]) -> bool:
    """Whether a first line counts the columns, with the name of an index before them or not."""
    cells = [cell.strip() for cell in first]
    counted = cells[1:] if cells[0] == "" else cells
    return len(cells) > 1 and bool(counted) and counted == [*map(str, range(len(counted)))]


def words_alone(lines: Sequence[tuple[int, list[str]]], marks: Sequence[float | str] = ()) -> int:
    """How many lines at the top hold words alone, such as units, where all those below hold a
    number or a time, also in a column of such a word; none where no line below does.

    Args:
        lines: number and cells of each.
        marks: words that stand for no value.
    """
    top = [cells for _, cells in lines[:100]]
    first = next((i for i, cells in enumerate(top) if any(map(_is_value, cells))), len(top))
    if not 0 < first <= _WORDS or not all(any(map(_is_value, cells)) for cells in top[first:]):
        return 0
    below = top[first:]
    words = {
        j
        for cells in top[:first]
        for j, cell in enumerate(cells)
        if is_word(cell) and cell.strip() not in marks
    }
    # A column of words, such as that of the class, tells nothing.
    units = any(all(j < len(row) and _is_value(row[j]) for row in below) for j in words)
    return first if below and units else 0


def _is_value(cell: str) -> bool:
    return not (is_word(cell) or is_nothing(cell))


def is_word(cell: str) -> bool:
    """Whether a cell holds something that is no value, so that it may be a name."""
    text = cell.strip()
    signed = COMMA.fullmatch(text) or MINUS.fullmatch(text) or is_signed(text)
    return not (is_number(text) or is_nothing(text) or signed or ways_to_read(text))


def ends(names: list[str], lines: list[tuple[int, list[str]]]) -> int:
    """How many columns without a name or a value a table ends in."""
    last = 0
    while last < len(names) - 1 and not names[-1 - last]:
        if any(len(cells) != len(names) or cells[-1 - last].strip() for _, cells in lines):
            break
        last += 1
    return last


def named(path: Path, first: list[str], rest: list[tuple[int, list[str]]]) -> bool:
    """Whether a first line without words is one of names: of numbers that count columns, with that
    of an index before them or not, or of whole ones above others.

    Raises:
        DataError: it may be one or not.
    """
    if counts(first):
        return True
    cells = [cell.strip() for cell in first]
    if (
        not all(cell.isdecimal() for cell in cells[cells[0] == "" :])
        or len({*cells}) < len(cells)
        or not rest
    ):
        return False
    if all(cell.strip().lstrip("+-").isdecimal() for _, row in rest[:100] for cell in row):
        raise DataError(
            f"{path}: the first line, {','.join(cells[:3])}, may be one of names or of values; "
            "write names that are no numbers",
            ", or say --data.header false",
        )
    return True
