"""One sequence of a person's files, and where sequences lie: class folders, or a list of paths."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple

from torch import Tensor

from spikescan.data.own.table import Table
from spikescan.data.root import DataError

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")

_FOLDERS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""Folders that stand above those of the classes, and the part of the data that they hold."""
PATH = ("path", "file", "filename", "file_name", "filepath")
LABEL = ("label", "labels", "class", "target", "category")
_GROUPS = ("group", "speaker", "subject", "patient", "participant", "person", "user")
GROUP = (*_GROUPS, *(f"{name}s" for name in _GROUPS), *(f"{name}_id" for name in _GROUPS))
PARTS_OF = ("part", "split", "subset")


class Item(NamedTuple):
    """One sequence.

    Attributes:
        name: What it is called, unlike any other one.
        values: The sequence, (T, C) float32, or tokens (T,) uint8.
        label: Name of its class, if it is known.
        group: What is to stay together in a split: a speaker, a patient.
        part: The part of the data that it belongs to, where that is given.
        channels: Name of each channel; none of tokens.
        rate: Samples in a second, Hz, where the file says so.
    """

    name: str
    values: Tensor
    label: str | None = None
    group: str | None = None
    part: Part | None = None
    channels: tuple[str, ...] = ()
    rate: float | None = None


class Entry(NamedTuple):
    """A file to read, and what is known of its sequences without reading it."""

    file: Path
    name: str
    label: str | None = None
    group: str | None = None
    part: Part | None = None


class Listing(NamedTuple):
    """The files of a data set, in order."""

    entries: list[Entry]
    left_out: list[Path]
    """Files that are of another kind, or in no class, and links to folders."""


def class_folders(place: Path, suffixes: tuple[str, ...]) -> Listing:
    """The files of a folder that has one folder for each class.

    The folders of the classes may stand in folders named train, val and test. Files may lie in
    folders below that of their class. What begins with a dot is not looked at.

    Raises:
        DataError: there are no such folders, or one without a file.
    """
    kinds = " or ".join(suffixes)
    inside = _folders(place)
    parts: dict[Path, Part | None] = {f: _part_called(f.name) for f in inside}
    tops: Mapping[Path, Part | None] = {place: None}
    words = {word: f.name for f in inside for word in re.split(r"[\W_]+", f.name.lower())}
    if inside and all(parts.values()):
        tops = parts
    elif {"train", "test"} <= {*parts.values()}:
        other = next(folder for folder, part in parts.items() if part is None)
        raise DataError(
            f"{place} has folders of parts, such as train and test, and {other.name}, which is "
            "none; take it out, or call the parts otherwise if these are classes"
        )
    elif {"train", "test"} <= words.keys():
        raise DataError(
            f"{place}: the folders {words['train']} and {words['test']} seem to be parts; call them"
            " train and test (and val), or otherwise if these are classes"
        )
    entries: list[Entry] = []
    left_out: list[Path] = []
    for top, part in tops.items():
        classes = [folder for folder in _folders(top) if not _around(folder, place)]
        left_out += [folder for folder in _folders(top) if _around(folder, place)]
        if not classes:
            raise DataError(
                f"{top} must have a folder for each class with its {kinds} files in it, and has "
                "no folder"
            )
        left_out += [file for file in _visible(top.iterdir()) if not file.is_dir()]
        for folder in classes:
            below = _visible(folder.rglob("*"), folder)
            files = [file for file in below if file.is_file()]
            # Not followed, or leading nowhere, and not passed over without a word.
            left_out += [link for link in below if link.is_symlink() and not link.is_file()]
            mine = [file for file in files if file.suffix.lower() in suffixes]
            left_out += [file for file in files if file.suffix.lower() not in suffixes]
            if not mine:
                raise DataError(
                    f"{folder} has no {kinds} files; remove it, or put the files of the class there"
                )
            entries += [
                Entry(file, file.relative_to(place).as_posix(), folder.name, part=part)
                for file in mine
            ]
    return Listing(entries, left_out)


def _part_called(name: str) -> Part | None:
    """The part that a folder holds, such as train, Training_Set or test-data."""
    return _FOLDERS.get(re.sub(r"(?<=.)[\W_]?(set|data|dataset|split)$", "", name.lower()))


def listed(place: Path, table: Table) -> Listing:
    """The files of a CSV with a column of paths and one of labels, and maybe of groups and parts.

    Paths are relative to the folder of the CSV.

    Raises:
        DataError: a path is no file or stands there twice, or a part is unknown.
    """
    path, label = column(table, PATH), column(table, LABEL)
    assert path is not None
    if label is None:
        raise DataError(
            f"{place} has a column of paths and none of labels; call it {' or '.join(LABEL)}"
        )
    seen: dict[str, int] = {}
    entries: list[Entry] = []
    groups, parts = column(table, GROUP), column(table, PARTS_OF)
    cells = [table.column(c) if c else [None] * len(table.rows) for c in (groups, parts)]
    for line, name, cls, group, part in zip(
        table.lines, table.column(path), table.column(label), *cells, strict=True
    ):
        where = f"{place}: line {line}"
        file = place.parent / name
        if not name or not file.is_file():
            raise DataError(f"{where}: there is no file {file}")
        if name in seen:
            raise DataError(f"{where}: {name} stands there already, in line {seen[name]}")
        if not cls:
            raise DataError(f"{where}: {name} has no label")
        seen[name] = line
        entries.append(Entry(file, name, cls, group, part_of(part, where)))
    return Listing(entries, [])


def part_of(word: str | None, where: str) -> Part | None:
    """The part that a word names, if there is one.

    Raises:
        DataError: it names none.
    """
    if word is None:
        return None
    if word.lower() not in _FOLDERS:
        raise DataError(f"{where}: the part must be train, val or test, got {word!r}")
    return _FOLDERS[word.lower()]


def column(table: Table, known: tuple[str, ...]) -> str | None:
    """The column that is called by one of these names."""
    return next((name for name in table.names if is_called(name, known)), None)


def is_called(name: str, known: tuple[str, ...]) -> bool:
    """Whether a name is one of these, in small or large letters, its words joined or apart."""
    return _plain(name) in map(_plain, known)


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]", "", name.lower())


def copies(items: Sequence[Item]) -> list[str]:
    """What to say of sequences that are there twice: in two parts they would tell the answer."""
    first: dict[bytes, str] = {}
    found: list[str] = []
    for item in items:
        digest = blake2b(item.values.numpy().tobytes(), digest_size=16).digest()
        if (other := first.setdefault(digest, item.name)) != item.name:
            found.append(f"{item.name} of {other}")
    if not found:
        return []
    return [f"{len(found):,} of {len(items):,} sequences are copies of others: first {found[0]}"]


def nested(entries: Sequence[Entry]) -> list[str]:
    """What to say of class folders that have the same folders in them, as those of speakers have:
    either may be the classes."""
    below: dict[str, set[str]] = {}
    for entry in entries:
        *folders, _ = Path(entry.name).parts
        if entry.label is None:
            return []
        inside = folders[folders.index(entry.label) + 1 :]
        below.setdefault(entry.label, set()).add(inside[0] if inside else "")
    (first, folders), *others = below.items()
    if not others or len(folders) < 2 or "" in folders or any(f != folders for _, f in others):
        return []
    same = ", ".join(sorted(folders, key=natural)[:3])
    return [
        f"all class folders, such as {first}, have the same folders in them, {same}: the upper ones"
        " are taken for the classes; if these are the lower ones, list the files in a CSV with the "
        "columns path and label, and maybe group"
    ]


def require_memory(place: Path, size: int) -> None:
    """Refuse files that cannot be held: samples of 2 bytes and more are held as 4 bytes each.

    Raises:
        DataError: they are larger than the memory of the machine.
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not told on this system
        return
    if 2 * size > memory:
        raise DataError(
            f"{place} holds {size / 1e9:,.1f} GB of files; all are held in memory, at about twice "
            f"that, and this machine has {memory / 1e9:,.1f} GB: train on some of the files, or "
            "store them at a lower rate"
        )


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names by, in which 10 comes after 9."""
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", name)]


def _around(folder: Path, place: Path) -> bool:
    """Whether it is a link to the place itself, or to a folder around it."""
    return place.resolve().is_relative_to(folder.resolve())


def _folders(place: Path) -> list[Path]:
    return [folder for folder in _visible(place.iterdir()) if folder.is_dir()]


def _visible(paths: Iterable[Path], below: Path | None = None) -> list[Path]:
    found = [
        path
        for path in paths
        if not any(
            part.startswith(".")
            for part in (path.relative_to(below).parts if below else (path.name,))
        )
    ]
    return sorted(found, key=lambda path: natural(path.as_posix()))
