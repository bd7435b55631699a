"""CSV files: one sequence each in class folders, or many below each other in one file."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import torch

from spikescan.data.gaps import Missing
from spikescan.data.module import at_least
from spikescan.data.own.base import OwnFiles
from spikescan.data.own.columns import blurred, markers, require_numbers, require_told_apart
from spikescan.data.own.found import Found
from spikescan.data.own.items import GROUP, LABEL, PARTS_OF, Item, column, is_called, part_of
from spikescan.data.own.lines import require_encoding
from spikescan.data.own.marks import Decimal
from spikescan.data.own.split import Split
from spikescan.data.own.table import Table
from spikescan.data.root import DataError
from spikescan.data.times import IGNORE, read_times, unit_of

_NO_CHANNELS = (*LABEL, *GROUP, *PARTS_OF)
IDS = ("id", "sequence", "sequence_id", "series", "series_id", "record", "recording", "item")


class Csv(OwnFiles):
    """Classes of sequences in CSV files: x (B, T, C) with lengths, from a person's own files.

    One file a sequence, in a folder with one folder for each class or listed in a CSV with the
    columns ``path`` and ``label``; or one file with all sequences below each other, a column that
    says which one a row belongs to, and one of its label. A line is a step, the other columns are
    channels. Columns of group and part are known by their names.

    Args:
        path: Folder or CSV file, from the current folder or below ``root``.
        root: Folder that ``path`` is below; alone, it is the folder itself.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data.
        split: How sequences are dealt out to training, validation and test.
        found: Classes, channels, length and rate; without it the files are looked through.
        missing: What happens to values that are missing: "refuse" names the first, "hold" repeats
            the value before, "zero" puts zero.
        decimal: Decimal mark of numbers; the other one of "." and "," then separates thousands.
            Without it a comma beside semicolons and tabs is one, and what may be read in two ways
            is refused.
        na_values: What stands for no value beside an empty cell, NA, NaN and the like: numbers
            such as -999, or words. Without it a number that seems to is refused.
        skip: Lines above that of the names, which are no part of the table.
        encoding: Encoding of files that are not UTF-8, such as "cp1252" or "latin-1".
        columns: Columns that are channels; without it all that mean nothing else.
        time: Column of the time: numbers in seconds, or dates; without it the first column, when
            its name or its content says so. "ignore" leaves that one out unread, for steps that
            follow each other as they stand.
        id: Column that tells sequences apart; without it one called so.
        label: Column of the labels; without it one called so.
        max_length: Steps after which a sequence is cut off; None for as long as they are.
        frame: Consecutive lines that become the channels of one step.

    Raises:
        ValueError: An argument is out of range.
    """

    suffixes = (".csv", ".tsv", ".gz")
    other_rates = f"; --data.time {IGNORE} takes steps as they stand"

    def __init__(
        self,
        *,
        path: str | None = None,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        split: Split = Split(),
        found: Found | None = None,
        missing: Missing = "refuse",
        decimal: Decimal | None = None,
        na_values: list[float | str] | None = None,
        skip: int = 0,
        encoding: str | None = None,
        columns: list[str] | None = None,
        time: str | None = None,
        id: str | None = None,
        label: str | None = None,
        max_length: int | None = None,
        frame: int = 1,
    ) -> None:
        super().__init__(
            path=path,
            root=root,
            batch_size=batch_size,
            workers=workers,
            seed=seed,
            split=split,
            found=found,
            missing=missing,
            max_length=max_length,
            frame=frame,
        )
        self.columns, self.time, self.id, self.label = columns, time, id, label
        self.decimal: Decimal | None = decimal
        self.na_values = na_values
        at_least("skip", skip, 0)
        require_encoding(encoding)
        self.skip, self.encoding = skip, encoding
        self._uneven = self._lying = 0
        self._set_aside: set[str] = set()
        self._nameless = 0
        self._read_as: list[str] = []
        self._order: list[str] = []  # of the channels of the first file

    def sequences(self, file: Path) -> list[Item]:
        """Read a file: the rows of one sequence, or of many; see :meth:`OwnFiles.sequences`."""
        table = Table(
            file,
            decimal=self.decimal,
            na_values=self.na_values,
            skip=self.skip,
            encoding=self.encoding,
        )
        self._nameless += not table.named
        self._read_as += table.notes
        named = (self.id, self.label, None if self.time == IGNORE else self.time)
        table.require([name for name in named if name is not None])
        ids = self.id or column(table, IDS)
        label = self.label or self._label(table)
        ignored = self.time == IGNORE
        time = None if ignored else self.time
        time = time or table.time_column() or next(filter(unit_of, table.names), None)
        group, part = column(table, GROUP), column(table, PARTS_OF)
        if time in (ids, label, group, part):
            time = None
        names = self.columns
        if names is None and self._given is not None:
            names = self._given.channels
        if names is None:
            used = (ids, label, time, group, part)
            # A second label among the channels would tell the answer.
            other = [n for n in table.names if n not in used and is_called(n, _NO_CHANNELS)]
            self._set_aside.update(other)
            names = [n for n in table.names if n not in used and n not in other]
            if sorted(names) == sorted(self._order):
                names = self._order
            self._order = self._order or names
        table.require(names)
        if not names:
            raise DataError(f"{file} has no column of measurements")
        if self._given is None:
            used = (ids, label, time, group, part)
            words = [name for name in names if table.first(name)]
            require_numbers(table, words, [n for n in table.names if n not in used], "to read")
        read = table.values(names, self.missing)
        # A run that predicts takes no options.
        self._read_as += markers(table, names, read, refused=self._given is None)
        # A barometer's values differ little in one recording, and are told apart well enough.
        close = blurred(read)
        require_told_apart(table, [names[j] for j in close], read[:, close])
        values = torch.from_numpy(read.astype(np.float32))
        if time is None and not ignored and self._given and (rate := self._given.rate):
            self._read_as.append(
                f"{file}: no column tells the time; its lines are taken to be {rate:g} a second"
            )
        starts = _starts(table, ids)
        self._lying += len(names) > 4 * len(values) // len(starts)
        items: list[Item] = []
        for start, end in zip(starts, [*starts[1:], len(table.rows)], strict=True):
            rows = range(start, end)
            cls = None if label is None else _one(table, label, rows)
            tells = {n: None if n is None else _one(table, n, rows) for n in (group, part)}
            items.append(
                Item(
                    file.name if ids is None else table.column(ids)[start],
                    values[start:end],
                    cls,
                    tells[group],
                    part_of(tells[part], f"{file}: line {table.lines[start]}"),
                    tuple(names),
                    None if time is None or ignored else self._rate(table, time, rows),
                )
            )
        return items

    def noted(self, count: int | None) -> list[str]:
        """How many sequences have gaps in their time, and which columns are left out."""
        of = "" if count is None else f" of {count:,}"
        # The first of each kind: notes that differ in nothing but numbers.
        kinds: dict[str, str] = {}
        for note in self._read_as:
            kinds.setdefault(re.sub(r"[-+.,\d]+", "0", note.partition(": ")[2]), note)
        said = [*kinds.values()]
        if (more := len(self._read_as) - len(said)) > 0:
            said.append(f"and {more:,} more files or columns alike")
        if self._uneven:
            said.append(
                f"{self._uneven:,}{of} sequences: lines are not equally far apart in time, and "
                "each is taken for one step"
            )
        if self._lying:
            files = "a file has" if self._lying == 1 else f"{self._lying:,} files have"
            said.append(
                f"{files} many more columns than lines, and a line is read as a step; if it is a "
                "channel, turn the table, if it is a sequence, write an .npz file of all"
            )
        if self._nameless:
            files = "a file has" if self._nameless == 1 else f"{self._nameless:,} files have"
            said.append(f"{files} no line of names: the columns are called by their number, from 0")
        if self._set_aside:
            said.append(
                f"left out, as their names say that they are no measurements: "
                f"{', '.join(sorted(self._set_aside))}; columns names those that are channels"
            )
        return said

    def _label(self, table: Table) -> str | None:
        """The column of the labels, if there is one.

        Raises:
            DataError: there are several.
        """
        found = [name for name in table.names if is_called(name, LABEL)]
        if len(found) > 1:
            raise DataError(
                f"{table.path} has the columns {' and '.join(found)}, and each may hold the labels",
                f": say --data.label {shlex.quote(found[0])}",
            )
        return found[0] if found else None

    def _rate(self, table: Table, name: str, rows: range) -> float | None:
        """Steps in a second by the time column; None where it counts rows.

        By the whole duration, as each time may be rounded; by the median step where there are gaps.
        """
        cells = table.column(name)[rows.start : rows.stop]
        lines = [table.lines[row] for row in rows]
        read = read_times(cells, lambda i: f"{table.path}: line {lines[i]}, column {name!r}")
        counted = read.moments is None and read.unit == 1
        times = read.seconds / ((unit_of(name) or 1.0) if counted else 1.0)
        if len(times) < 2:
            return None
        steps = np.diff(times)
        if not (steps > 0).all():
            i = int((steps <= 0).argmax())
            where = f"{table.path}: line {lines[i + 1]}, column {name!r}"
            raise DataError(f"{where} goes from {cells[i]} to {cells[i + 1]}; times must rise")
        uneven = bool(steps.max() > 1.5 * np.median(steps))
        self._uneven += uneven
        counted = name.lower() in ("", "index") or bool((steps == 1).all())
        step = np.median(steps) if uneven else (times[-1] - times[0]) / len(steps)
        return None if counted else float(f"{1 / step:.5g}")


def _starts(table: Table, ids: str | None) -> list[int]:
    """The rows at which a sequence begins."""
    if ids is None:
        return [0]
    cells = table.column(ids)
    seen: dict[str, int] = {}
    for i, cell in enumerate(cells):
        where = f"{table.path}: line {table.lines[i]}"
        if not cell:
            raise DataError(f"{where} has no {ids}")
        if i and cell == cells[i - 1]:
            continue
        if cell in seen:
            raise DataError(
                f"{where}: {ids} {cell!r} comes again, after that of line "
                f"{table.lines[seen[cell]]}; the rows of a sequence must follow each other"
            )
        seen[cell] = i
    return list(seen.values())


def _one(table: Table, name: str, rows: range) -> str:
    """What all rows of a sequence have in a column."""
    cells = table.column(name)
    for i in rows:
        if cells[i] != cells[rows[0]] or not cells[i]:
            raise DataError(
                f"{table.path}: line {table.lines[i]}, column {name!r} has {cells[i]!r}, expected "
                f"{cells[rows[0]] or 'a value'!r} as in line {table.lines[rows[0]]}, where its "
                "sequence begins"
            )
    return cells[rows[0]]
