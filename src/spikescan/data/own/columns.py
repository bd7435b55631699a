"""Which columns of a table hold measurements."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spikescan.data.frame import Frame
from spikescan.data.own.table import INDEX, Table, is_number
from spikescan.data.root import DataError

_ROWS = 10
"""Rows by which a column can be told to stand still, or to count, at least."""
_OFF = 0.02
"""Share by which the steps of a count may differ, as they are rounded."""


def require_numbers(table: Table | Frame, names: Sequence[str], others: Sequence[str]) -> None:
    """Refuse columns that hold no number at all.

    Args:
        table: the table.
        names: the columns.
        others: those that may be named in their place.

    Raises:
        DataError: names the first such column, and how to leave it out.
    """
    if isinstance(table, Frame):
        return
    hollow = {n: table.first(n) for n in names if not any(map(is_number, table.column(n)))}
    # What begins with a digit is a number, but for a mark that is told with its line.
    hollow = {name: word for name, word in hollow.items() if not re.match(r"[+-]?\d", word)}
    if not hollow:
        return
    name, word = next(iter(hollow.items()))
    what = f"holds no number, but {word!r}" if word else "holds nothing"
    if not word and not name:
        what += " and has no name, as if each line ended in a separator too many"
    rest = [other for other in others if other not in hollow]
    some = json.dumps(rest[:6], ensure_ascii=False)
    how = f"name the columns to forecast: --data.columns '{some}'" if rest else "mend the file"
    raise DataError(f"{table.path}: column {name!r} {what}; {how}")


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
        steps = np.diff(column)
        if len(there) and there.min() == there.max():
            found[name] = f"is {there[0]:g} throughout"
        elif steps[0] and (np.abs(steps - steps[0]) <= _OFF * abs(steps[0])).all():
            found[name] = f"grows by {steps[0]:g} in each row"
        elif name == table.names[0] and name.lower() in INDEX and (steps == steps.round()).all():
            found[name] = "numbers the rows"
    return found
