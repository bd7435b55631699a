"""The .ts and .tsv formats of the UCR and UEA archives of time series."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from spikescan.data.gaps import OR_MISSING, Missing
from spikescan.data.own.base import OwnFiles
from spikescan.data.own.items import Entry, Item, Listing, Part
from spikescan.data.own.lines import read_text
from spikescan.data.root import DataError
from spikescan.data.times import is_number

_ENDS = ("_TRAIN", "_TEST")


class Ts(OwnFiles):
    """Classes of time series in .ts or .tsv files: x (B, T, C) with lengths, from own files.

    The format is that of the UCR and UEA archives (Bagnall et al. 2018, arXiv 1811.00075; its
    header as sktime and aeon describe it): lines that begin with @ say what follows, then each line
    is a series, its dimensions between colons, its values between commas, its class at the end. A
    question mark is a value that is missing. In a .tsv file of the UCR archive a line is a series,
    its class before its values, with NaN where one is missing and behind those of a shorter series.
    ``NAME_TRAIN.ts`` and ``NAME_TEST.ts`` beside each other are the official split, of which
    validation data are taken from the training part.

    Args:
        path: A .ts or .tsv file, one of the two or ``NAME.ts`` for both, or the folder that holds
            them; from the current folder or below ``root``.
        root: Folder that ``path`` is below; alone, it is the folder itself.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data.
        split: How series are dealt out to training, validation and test.
        found: Classes, channels, length and rate; without it the files are looked through.
        missing: What happens to values that are missing: "refuse" names the first, "hold" repeats
            the value before, "zero" puts zero.
        max_length: Steps after which a series is cut off; None for as long as they are.
        frame: Consecutive values that become the channels of one step.

    Raises:
        ValueError: An argument is out of range.
    """

    suffixes = (".ts", ".tsv")

    def looked_for(self, place: Path) -> Path:
        """NAME_TRAIN.ts where NAME.ts is not there."""
        if place.exists() or place.suffix not in self.suffixes:
            return place
        train = split_files(place)[0]
        return train if train.is_file() else place

    def find(self, place: Path) -> Listing:
        """The files of training and test, where there are both."""
        names = sorted(place.glob("*.ts*")) if place.is_dir() else [place]
        names = [file for file in names if file.suffix in self.suffixes]
        both = {split_files(file) for file in names if file.stem.endswith(_ENDS)}
        both = {pair for pair in both if all(file.is_file() for file in pair)}
        if len(both) == 1:
            (pair,) = both
            parts: tuple[Part, ...] = ("train", "test")
            left = [file for file in names if file not in pair]
            found = zip(pair, parts, strict=True)
            return Listing([Entry(file, file.name, part=part) for file, part in found], left)
        if place.is_dir():
            if len(names) != 1:
                raise DataError(
                    f"{place} must hold one .ts file, or NAME_TRAIN.ts and NAME_TEST.ts, and has "
                    f"{len(names)}: give the file as path"
                )
            return Listing([Entry(names[0], names[0].name)], [])
        return Listing([], [])

    def sequences(self, file: Path) -> list[Item]:
        """Read a file; see :meth:`OwnFiles.sequences`."""
        if file.suffix == ".tsv":
            return _rows(file, self.missing)
        head = _Head()
        begun = False
        items: list[Item] = []
        for number, line in enumerate(read_text(file, "utf-8").splitlines(), 1):
            line = line.strip()
            where = f"{file}: line {number}"
            if not line or line.startswith(("#", "%")):
                continue
            if begun:
                items.append(_series(line, head, f"series {len(items)}", where, self.missing))
            elif line.lower() == "@data":
                begun = True
            elif line.startswith("@"):
                head = _told(line, head, where)
            else:
                raise DataError(f"{where} must begin with @, as @data comes later")
        if not begun or not items:
            raise DataError(f"{file} has no series: {'' if begun else 'there is no line @data'}")
        first = items[0]
        for item in items:
            if item.values.shape[1] != first.values.shape[1]:
                raise DataError(
                    f"{file}: {item.name} has {item.values.shape[1]} dimensions, expected "
                    f"{first.values.shape[1]} as those before"
                )
        return items


def _rows(file: Path, missing: Missing) -> list[Item]:
    """The series of a .tsv file, a line each."""
    items: list[Item] = []
    for number, line in enumerate(read_text(file, "utf-8").splitlines(), 1):
        if not line.strip():
            continue
        cells = line.split("\t")
        label, values = cells[0].strip(), [cell.strip() for cell in cells[1:]]
        while values and values[-1].lower() in ("", "nan"):
            values.pop()
        if not label or not values:
            raise DataError(f"{file}: line {number} must hold a class and values between tabs")
        whole = re.fullmatch(r"([+-]?\d+)\.0+(e\+00)?", label)
        held = _values(",".join(values), f"{file}: line {number}", missing)
        label = whole[1] if whole else label
        items.append(Item(f"series {len(items)}", held[:, None], label, channels=("0",)))
    if not items:
        raise DataError(f"{file} has no series")
    return items


def split_files(place: Path) -> tuple[Path, Path]:
    """NAME_TRAIN.ts and NAME_TEST.ts of NAME.ts or of either, which may not be there."""
    name = place.stem
    for end in _ENDS:
        name = name.removesuffix(end)
    train, test = (place.with_name(f"{name}{end}{place.suffix}") for end in _ENDS)
    return train, test


class _Head(NamedTuple):
    """What the lines before the data say."""

    classes: tuple[str, ...] | None = None
    length: int | None = None
    dimensions: int | None = None


def _told(line: str, head: _Head, where: str) -> _Head:
    name, *words = line[1:].split()
    name = name.lower()
    yes = bool(words) and words[0].lower() == "true"
    if name == "timestamps" and yes:
        raise DataError(f"{where}: series with time stamps are not read; write values alone")
    if name == "targetlabel" and yes:
        raise DataError(f"{where}: the targets are numbers, not classes, which is not read")
    if name == "classlabel":
        if yes and len(words) < 2:
            raise DataError(f"{where} must name the classes, as @classLabel true a b")
        return head._replace(classes=tuple(words[1:]) if yes else None)
    if name in ("serieslength", "dimension", "dimensions"):
        if len(words) != 1 or not words[0].isdecimal() or int(words[0]) < 1:
            raise DataError(f"{where}: {name} must be a whole number, got {' '.join(words)!r}")
        number = int(words[0])
        if name == "serieslength":
            return head._replace(length=number)
        return head._replace(dimensions=number)
    if name == "univariate" and yes:
        return head._replace(dimensions=1)
    return head


def _series(line: str, head: _Head, name: str, where: str, missing: Missing) -> Item:
    cells = line.split(":")
    label = None
    if head.classes is not None:
        label = cells.pop().strip()
        if label not in head.classes:
            raise DataError(f"{where}: the class {label!r} is not one of {', '.join(head.classes)}")
    if not cells:
        raise DataError(f"{where} has no values")
    dimensions = [_values(cell, f"{where}, dimension {d}", missing) for d, cell in enumerate(cells)]
    if head.dimensions is not None and len(dimensions) != head.dimensions:
        raise DataError(
            f"{where} has {len(dimensions)} dimensions, expected {head.dimensions} by its header"
        )
    sizes = {len(d) for d in dimensions}
    if len(sizes) > 1:
        raise DataError(f"{where}: its dimensions have different lengths, {sorted(sizes)}")
    if head.length is not None and sizes != {head.length}:
        raise DataError(
            f"{where} has {sizes.pop()} values, expected {head.length} by @seriesLength"
        )
    channels = tuple(str(d) for d in range(len(dimensions)))
    return Item(name, torch.stack(dimensions, 1), label, channels=channels)


def _values(cells: str, where: str, missing: Missing) -> Tensor:
    out: list[float] = []
    for i, cell in enumerate(cells.split(",")):
        text = cell.strip()
        if text == "?" or text.lower() == "nan":
            if missing == "refuse":
                raise DataError(f"{where}, value {i} is missing ({text}); mend it", OR_MISSING)
            out.append(math.nan)
        elif is_number(text):
            out.append(float(text))
        else:
            raise DataError(f"{where}, value {i} must be a number or ?, got {text!r}")
    return torch.tensor(out, dtype=torch.float32)
