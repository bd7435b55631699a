"""Numbers as people write them: decimal marks, separators of thousands, marks for no value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikescan.data.root import DataError
from spikescan.data.times import is_number

Decimal = Literal[".", ","]
"""A decimal mark; the other one then separates thousands."""
_NOTHING = {"", "na", "n/a", "nan", "null", "none", "?"}
"""What stands in a cell that has no value, in small letters."""
COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
"""A number with a decimal comma."""
_APART = "'\u2019 \u00a0\u202f"
"""Besides the other mark, what separates thousands: apostrophes and blanks."""
THOUSANDS = re.compile(rf"[+-]?\d{{1,3}}([,.{_APART}]\d{{3}})+([.,]\d*)?")
"""A number with separators of thousands."""
GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}([.,]\d{3})+")
"""A number whose marks may be decimal ones or separate thousands."""
_PARTED: dict[Decimal, re.Pattern[str]] = {
    ".": re.compile(rf"[+-]?[1-9]\d{{0,2}}([,{_APART}]\d{{3}})+(\.\d*)?"),
    ",": re.compile(rf"[+-]?[1-9]\d{{0,2}}([.{_APART}]\d{{3}})+(,\d*)?"),
}
"""A number with separators of thousands, by its decimal mark."""
DASH = "\u2212"
"""The minus of typesetters."""
MINUS = re.compile(rf"[$€£¥]?{DASH}[$€£¥]?\d[\d.,]*([eE][+-]?\d+)? ?[%$€£¥]?")
"""A number with such a minus."""
_SIGNED = re.compile(
    r"(?P<minus>[+-]?)(?P<before>[$€£¥])? ?(?P<number>(?(before)[+-]?)[.,]?\d[\d.,]*)"
    r" ?(?P<after>(?(before)(?!)|[%$€£¥]))?"
)
"""A number with the sign of a currency before or behind it, or of percent behind."""
_TRUTHS = (("false", "true"), ("no", "yes"), ("off", "on"))
"""Words for 0 and 1, in small letters."""
_NINES = re.compile(r"-?9{2,}(\.9*)?0*")
"""What is often put where there is no value."""
_KINDS = 10
"""Different values by which it can be told that one is far from all others, at least."""


def plain(cell: str, decimal: Decimal) -> str:
    """A cell's number with a point for the decimal mark, and no separators of thousands; other
    cells come back as they are.

    >>> plain("1.234,5", ","), plain("1,234.5", "."), plain("word", ",")
    ('1234.5', '1234.5', 'word')
    """
    text = cell.strip()
    if _PARTED[decimal].fullmatch(text):
        text = re.sub(rf"[{'.' if decimal == ',' else ','}{_APART}]", "", text)
    elif decimal == "." or not COMMA.fullmatch(text):
        return cell
    return text.replace(",", ".")


def is_signed(cell: str) -> bool:
    """Whether a cell is a number with the sign of a currency or of percent."""
    told = _SIGNED.fullmatch(cell.strip())
    return told is not None and bool(told["before"] or told["after"])


def without_sign(cells: Sequence[str]) -> tuple[list[str], str] | None:
    """A column's numbers without the sign of a currency or of percent that every one of them
    carries, and that sign; None where there is no such.

    >>> without_sign(["$1.50", "", "-$2"]), without_sign(["5 %", "6"])
    ((['1.50', '', '-2'], '$'), None)
    """
    found: set[str] = set()
    out: list[str] = []
    for cell in cells:
        text = cell.strip()
        if not is_nothing(text):
            told = _SIGNED.fullmatch(text)
            if told is None:
                return None
            found.add(told["before"] or told["after"] or "")
            text = (told["minus"] or "") + (told["number"] or "")
        out.append(text)
    sign = found.pop() if len(found) == 1 else ""
    return (out, sign) if sign else None


def truths(cells: Sequence[str], marks: Sequence[float | str] = ()) -> list[str] | None:
    """A column of one pair of words for 0 and 1, such as FALSE and TRUE, as these digits; None
    where it is no such.

    Args:
        cells: the column.
        marks: words that stand for no value, beside empty cells and the like.

    >>> truths(["TRUE", "", "False"]), truths(["yes", "off"]), truths([""])
    (['1', '', '0'], None, None)
    """
    told = [not is_nothing(cell) and cell.strip() not in marks for cell in cells]
    words = [cell.strip().lower() for cell in cells]
    used = {word for word, here in zip(words, told, strict=True) if here}
    pair = next((pair for pair in _TRUTHS if used and used <= {*pair}), None)
    if pair is None:
        return None
    given = zip(cells, words, told, strict=True)
    return [str(pair.index(word)) if here else cell for cell, word, here in given]


def marker(values: NDArray[np.float64]) -> float | None:
    """A value far from all others that seems to stand for none, if there is one.

    It is below or above all others and one of nines, such as -999, or a whole number below zero and
    all others that comes again, such as the -200 of an air sensor.

    Args:
        values: of a column (T,), NaN where there is none.
    """
    there, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if not len(there):
        return None
    written = [bool(_NINES.fullmatch(f"{v:.12g}")) for v in (there[0], there[-1])]
    # Nothing that is never negative reaches -999.
    if written[0] and there[0] < 0 and (len(there) == 1 or there[1] >= 0):
        return float(there[0])
    if len(there) <= _KINDS:
        return None
    # With a mark at either end, the other one is no measure of how far values go.
    inner = there[int(written[0]) : len(there) - int(written[1])]
    for end in (0, -1):
        value, rest = there[end], inner if written[end] else (there[1:], there[:-1])[end]
        far = abs(value - rest[end]) / (rest[-1] - rest[0])
        # Prices may well reach 999.
        least = 1 if written[end] and value < 0 else 2
        again = value < 0 and counts[end] > 1 and value == round(value)
        if far > least and (written[end] or again):
            return float(value)
    return None


def is_nothing(cell: str) -> bool:
    """Whether a cell has no value."""
    return cell.strip().lower() in _NOTHING


def as_marks(na_values: Sequence[float | str] | None) -> Sequence[float | str] | None:
    """What stands for no value: numbers as numbers, also where they were given as words."""
    if na_values is None:
        return None
    return [float(m) if isinstance(m, str) and is_number(m) else m for m in na_values]


def absent(values: NDArray[np.float64], marks: Sequence[float | str]) -> NDArray[np.bool_]:
    """Which values are one of the numbers that stand for none."""
    return np.isin(values, [mark for mark in marks if not isinstance(mark, str)])


def refuse_halves(path: Path, lines: list[tuple[int, list[str]]]) -> None:
    """Refuse a file whose lines may be numbers with a decimal comma, each of which became two.

    Raises:
        DataError: names the first line.
    """
    rows = [[cell.strip() for cell in cells] for _, cells in lines]
    if any(len(row) != len(rows[0]) for row in rows) or rows[0] == ["0", "1"]:
        return
    for a, b in pairwise(zip(*rows, strict=True)):
        digits = len(b[0])
        whole = all(re.fullmatch(r"[+-]?\d+", cell) for cell in a)
        even = all(cell.isdecimal() and len(cell) == digits for cell in b)
        # Of more columns than two, these are halves where digits are filled up by zeros.
        zeros = digits > 1 and any(cell[0] == "0" for cell in b)
        if whole and even and (zeros or len(rows[0]) == 2):
            raise DataError(
                f"{path}: line {lines[0][0]}, {a[0]},{b[0]}, may be one number with a decimal comma"
                " or two numbers; write the one with a point, or put a line of names above the two"
            )
