"""Tables that pandas wrote as HDF5, such as the traffic files metr-la.h5 and pems-bay.h5."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikescan.data.gaps import OR_MISSING, Missing
from spikescan.data.own.marks import absent, as_marks
from spikescan.data.own.table import require_columns
from spikescan.data.root import DataError
from spikescan.errors import optional

ENDS = (".h5", ".hdf5", ".hdf")
_TIME = "time"


class Frame:
    """The rows of a table in pandas' fixed format, to be asked as a CSV file is; see
    :class:`~spikescan.data.own.table.Table`.

    The file has one group, whose ``axis0`` names the columns, ``axis1`` the rows, and whose
    ``blockN_items`` and ``blockN_values`` hold the columns of one kind each. Nothing is unpickled.
    Rows that are named by times have them in a column ``time``.

    Args:
        path: the file.
        na_values: numbers that stand for no value.

    Raises:
        DataError: the file is damaged, holds no such table or several, or names a column twice.
        MissingPackage: h5py is not installed.
    """

    row = "row"

    def __init__(self, path: Path, *, na_values: Sequence[float | str] | None = None) -> None:
        self.path, self.na_values = path, as_marks(na_values)
        h5py = optional("h5py", "events", f"reading {path}")
        try:
            with h5py.File(path, "r") as file:
                groups = [group for group in file.values() if "axis0" in group and "axis1" in group]
                if len(groups) != 1:
                    raise DataError(
                        f"{path} must hold one table in pandas' fixed format, got {len(groups)}"
                    )
                self._read(groups[0])
        except DataError:
            raise
        except Exception as error:  # whatever HDF5 meets in a damaged file
            raise DataError(
                f"{path} is not a readable table of pandas: {' '.join(str(error).split())}"
            ) from error

    def _read(self, group: Any) -> None:
        columns = _words(group["axis0"])
        index = np.asarray(group["axis1"])
        kind = _word(group["axis1"].attrs.get("kind", ""))
        self._times: NDArray[Any] | None = None
        if kind.startswith("datetime64"):
            unit = kind.removeprefix("datetime64").strip("[]").partition(",")[0] or "ns"
            self._times = index.astype(np.int64).view(f"datetime64[{unit}]")
        self._values = np.full((len(index), len(columns)), np.nan)
        seen: set[str] = set()
        for name in group:
            if not name.endswith("_items"):
                continue
            values = np.asarray(group[f"{name.removesuffix('_items')}_values"])
            items = _words(group[name])
            if values.shape != (len(index), len(items)) or values.dtype.kind not in "fiu":
                raise DataError(
                    f"{self.path}: {name} must name numbers of shape ({len(index)}, "
                    f"{len(items)}), got {values.dtype} {values.shape}"
                )
            if twice := seen.intersection(items) or {i for i in items if items.count(i) > 1}:
                raise DataError(f"{self.path} names column {min(twice)!r} twice")
            seen.update(items)
            self._values[:, [columns.index(item) for item in items]] = values
        if not len(index) or not columns or seen != {*columns}:
            raise DataError(
                f"{self.path} has {len(index)} rows and values of {len(seen)} of {len(columns)} "
                "columns"
            )
        if _TIME in columns and self._times is not None:
            raise DataError(f"{self.path} has a column {_TIME!r} beside the times of its rows")
        self.names = columns if self._times is None else [_TIME, *columns]
        self.rows = range(len(index))
        self.lines = range(1, len(index) + 1)

    def turn(self) -> None:
        """Put the last row first."""
        assert self._times is not None
        self._times, self._values = self._times[::-1], self._values[::-1]
        self.lines = self.lines[::-1]

    def column(self, name: str) -> list[str]:
        """The values of a column as words."""
        if name == self.time_column():
            assert self._times is not None
            return np.datetime_as_string(self._times, unit="us").tolist()
        return [repr(value) for value in self.values([name], "hold")[:, 0].tolist()]

    def require(self, names: Iterable[str]) -> None:
        """Raise a `DataError` that names the first of these columns that is not there."""
        require_columns(self.path, self.names, names)

    def time_column(self) -> str | None:
        """The times of the rows, where they have such."""
        return None if self._times is None else _TIME

    def values(self, names: Sequence[str], missing: Missing) -> NDArray[np.float64]:
        """The columns as numbers (T, C), NaN where there is none.

        Raises:
            DataError: a value is missing, and refused.
        """
        first = 0 if self._times is None else 1
        out = self._values[:, [self.names.index(name) - first for name in names]]
        out[absent(out, self.na_values or ())] = np.nan
        places = np.argwhere(~np.isfinite(out))
        if missing == "refuse" and len(places):
            row, column = places[0]
            raise DataError(
                f"{self.path}: row {self.lines[row]}, column {names[column]!r} has no value "
                f"({out[row, column]}); mend it",
                OR_MISSING,
            )
        return out


def _words(stored: Any) -> list[str]:
    return [_word(value) for value in np.asarray(stored).tolist()]


def _word(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
