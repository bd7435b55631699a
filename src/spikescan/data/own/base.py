"""What the readers of a person's own files share: finding, labelling, splitting, measuring."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Classes, Facts
from spikescan.data.gaps import REFUSED, Missing, without_missing
from spikescan.data.memory import FixedSequences, RaggedSequences, Sequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.own.found import Found, look_through, unlike
from spikescan.data.own.items import (
    PARTS,
    PATH,
    Item,
    Listing,
    class_folders,
    copies,
    is_called,
    listed,
    nested,
    require_memory,
)
from spikescan.data.own.lines import read_lines
from spikescan.data.own.remarks import odd_channels, unknown_rates
from spikescan.data.own.split import Split, deal, torn
from spikescan.data.own.table import Table
from spikescan.data.root import DataError, data_root
from spikescan.data.tokens import TokenSequences

_RATES = 0.02
"""Share by which the rate of a file may differ from that of the recipe."""


class OwnFiles(SequenceData):
    """Labelled sequences from a person's own files; a subclass reads one format.

    The files are those of a folder with one folder for each class, those of a CSV with a column
    ``path`` and a column ``label`` (and maybe ``group`` and ``part``), or one file with all
    sequences and their labels, where the format has such.

    Args:
        path: Folder or file, from the current folder or below ``root``.
        root: Folder that ``path`` is below; alone, it is the folder itself.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data.
        split: How items are dealt out to training, validation and test.
        found: Classes, channels, length and rate; without it the files are looked through.
        missing: What happens to values that are missing: "refuse" names the first, "hold" repeats
            the value before, "zero" puts zero.
        max_length: Samples after which a sequence is cut off; None for as long as they are.
        frame: Consecutive samples that become the channels of one step.

    Raises:
        ValueError: An argument is out of range.
    """

    suffixes: ClassVar[tuple[str, ...]]
    """Ends of the names of the files that it reads, in small letters."""
    other_rates: ClassVar[str] = ""
    """What may be done about a file of another rate."""
    encoding: str | None = "utf-8"
    """Encoding of files that are not UTF-8; None where none is told, and one can be."""
    vocabulary: ClassVar[int | None] = None
    """Number of different tokens, of what is no real-valued input."""

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
        max_length: int | None = None,
        frame: int = 1,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        if path is None and root is None:
            raise ValueError("path or root must say where the files are, got neither")
        at_least("frame", frame, 1)
        if max_length is not None:
            at_least("max_length", max_length, 1)
        self.path, self.split = path, split
        self.missing: Missing = missing
        self.max_length, self.frame = max_length, frame
        self._given = found

    @abstractmethod
    def sequences(self, file: Path) -> list[Item]:
        """Read one file: its sequences, each with its label where the file says one.

        Raises:
            DataError: it is damaged, or not of this format.
        """

    def without_label(self, item: Item) -> str:
        """What to say of an item without a label."""
        return f"{self.place}: {item.name} has no label"

    def noted(self, count: int | None) -> list[str]:
        """What was done to the files as they were read, a line each; ``count`` is that of items."""
        return []

    @cached_property
    def place(self) -> Path:
        """The folder or the file.

        Raises:
            DataError: there is none.
        """
        below = data_root(self.root)
        places = [below] if self.path is None else [Path(self.path).expanduser(), below / self.path]
        for place in map(self.looked_for, places):
            if place.exists():
                return place
        raise DataError(f"there is no {' and no '.join(map(str, dict.fromkeys(places)))}")

    def looked_for(self, place: Path) -> Path:
        """What to look for in place of a path that was given."""
        return place

    @cached_property
    def listing(self) -> Listing:
        """The files, before they are read."""
        return self.find(self.place)

    def find(self, place: Path) -> Listing:
        """The files of a folder of classes or of a list; none where ``place`` is the data file."""
        if place.is_dir():
            return class_folders(place, self.suffixes)
        if place.suffix.lower() in (".csv", ".tsv"):
            names = next((cells for _, cells in read_lines(place, 0, self.encoding)[2]), [])
            if any(is_called(name, PATH) for name in names):
                return listed(place, Table(place, encoding=self.encoding))
        return Listing([], [])

    @cached_property
    def items(self) -> list[Item]:
        """All sequences with their labels, in order.

        Raises:
            DataError: a file is damaged, two items have one name, or there are fewer than two
                classes.
        """
        entries = self.listing.entries
        require_memory(self.place, sum(entry.file.stat().st_size for entry in entries))
        found: list[Item] = []
        others = 0
        for entry in entries:
            for item in self.sequences(entry.file):
                others += entry.label is not None and item.label not in (None, entry.label)
                name = entry.name if item.name == entry.file.name else f"{entry.name}: {item.name}"
                found.append(
                    item._replace(
                        name=name,
                        label=entry.label or item.label,
                        group=entry.group or item.group,
                        part=entry.part or item.part,
                    )
                )
        if not entries:
            found = self.sequences(self.place)
        for item in found:
            if item.label is None:
                raise DataError(self.without_label(item))
        twice = [name for name, n in Counter(item.name for item in found).items() if n > 1]
        if twice:
            raise DataError(f"{self.place} has two items with the name {twice[0]}")
        classes = {item.label for item in found}
        if len(classes) < 2:
            raise DataError(
                f"{self.place} has one class only, {next(iter(classes), None)!r}; at least two "
                "are needed"
            )
        self.notes = [*self.noted(len(found)), *unknown_rates(found), *odd_channels(found)]
        self.notes += copies(found)
        self.notes += nested(entries) if self.place.is_dir() else []
        if others:
            self.notes.append(f"{others:,} sequences have a label in the file that is not used")
        return found

    @cached_property
    def parts(self) -> list[str]:
        """The part of each item: train, val or test."""
        parts = deal(self.items, self.split)
        if self.way != "group":
            self.notes += torn(self.items, parts)
        return [*parts]

    @cached_property
    def way(self) -> Literal["file", "group", "time"]:
        """How items are dealt out."""
        return self.split.way(self.items)

    @cached_property
    def found(self) -> Found:
        """Classes, channels, length and rate: as given, else the files are looked through."""
        return look_through(self.items) if self._given is None else self._given

    @property
    def facts(self) -> Facts:
        """Steps of ``frame`` samples each; the input is scaled by what the training data say."""
        found, frame = self.found, self.frame
        names = found.channels
        if frame > 1:
            names = [f"{name} {i}" for i in range(frame) for name in found.channels]
        longest = min(found.length, self.max_length or found.length)
        return Facts(
            Classes(tuple(found.classes)),
            length=-(-longest // frame),
            inputs=1 if self.vocabulary else len(names),
            vocabulary=self.vocabulary,
            frame=frame,
            rate=None if found.rate is None else found.rate / frame,
            channels=None if self.vocabulary else tuple(names),
            scaled=self.vocabulary is None,
        )

    def load(self) -> Splits:
        """Read the files and deal out their items.

        Raises:
            DataError: a file is damaged or does not go with the others, or an item's class is none
                of those that were found.
        """
        known = {name: number for number, name in enumerate(self.found.classes)}
        for item in self.items:
            if item.label not in known:
                raise DataError(
                    f"{item.name} is of the class {item.label!r}, which is not among those of the "
                    f"recipe: {', '.join(known)}"
                )
        made: list[Sequences] = []
        for part in PARTS:
            rows = [i for i, p in enumerate(self.parts) if p == part]
            y = torch.tensor([known[self.items[i].label or ""] for i in rows])
            values = [self.whole(self.items[i]) for i in rows]
            held = self.hold(values, y, part == "train")
            # From here on the items look at what is held: nothing is in memory twice.
            del values
            for i, view in zip(rows, _views(held), strict=True):
                self.items[i] = self.items[i]._replace(values=view)
            made.append(held)
        for note in self.notes:
            print(note, flush=True)
        return Splits(*made)

    def whole(self, item: Item) -> Tensor:
        """An item's values without missing ones, its channels and rate those of the recipe.

        Raises:
            DataError: a value is missing and refused, or it is unlike the others.
        """
        self.require_kin(item)
        return without_missing(item.values, self.missing, item.name)

    def require_kin(self, item: Item) -> None:
        """Refuse an item unlike the others.

        Raises:
            DataError: there are other channels, or steps of another duration.
        """
        found = self.found
        if item.channels != tuple(found.channels):
            raise DataError(
                f"{item.name} has the channels {', '.join(item.channels)}, expected "
                f"{', '.join(found.channels)}"
            )
        if item.rate and found.rate and abs(item.rate / found.rate - 1) > _RATES:
            raise DataError(
                f"{item.name} has {item.rate:g} samples a second, expected {found.rate:g}",
                self.other_rates,
            )

    def read(self, file: Path) -> list[tuple[str, SequenceBatch]]:
        """Read a file to predict from; see :meth:`SequenceData.read`."""
        read: list[tuple[str, SequenceBatch]] = []
        odd: list[str] = []
        for item in self.sequences(file):
            name = str(file) if item.name == file.name else f"{file}: {item.name}"
            values = self.whole(item._replace(name=name))
            odd += unlike(name, values, self.found)
            held = self.hold([values], torch.zeros(1, dtype=torch.int64), training=False)
            read.append((name, held.batch(torch.tensor([0]), 0)))
        self.notes = [*self.noted(None), *odd]
        return read

    def hold(
        self, values: list[Tensor], y: Tensor, training: bool
    ) -> FixedSequences | RaggedSequences | TokenSequences:
        """Hold sequences and their classes; a subclass may augment those for training."""
        sizes = torch.tensor([len(v) for v in values])
        longest = min(self.max_length or int(sizes.max()), int(sizes.max()))
        if self.vocabulary is not None:
            return TokenSequences(torch.cat(values), sizes, y, max_length=longest)
        if self.frame == 1 and bool((sizes == longest).all()):
            return FixedSequences(torch.stack(values), y)
        return RaggedSequences(
            torch.cat(values),
            sizes,
            y,
            max_length=longest,
            frame=self.frame,
            **self.augment(training),
        )

    def augment(self, training: bool) -> dict[str, Any]:
        """Options of augmentation, for :class:`RaggedSequences`."""
        return {}

    def known(self) -> dict[str, Any]:
        """What was found; see :meth:`SequenceData.known`."""
        return {"found": asdict(self.found)}

    def members(self) -> list[tuple[str, str, str, str]]:
        """Name, class, group and part of each item."""
        return [
            (item.name, item.label or "", self._group(item), part)
            for item, part in zip(self.items, self.parts, strict=True)
        ]

    def _group(self, item: Item) -> str:
        return self.split.group_of(item) if self.way == "group" else item.group or ""

    def survey(self, refuses: bool = True) -> list[str]:
        """What was found, a line each: for a person to read.

        Args:
            refuses: whether training refuses missing values.
        """
        items, found = self.items, self.found
        for item in items:
            self.require_kin(item)
        counts = Counter(item.label for item in items)
        lengths = torch.tensor([len(item.values) for item in items])
        low, middle, high = int(lengths.min()), int(lengths.median()), int(lengths.max())
        unit = "bytes" if self.vocabulary else "samples"
        many = f"{low:,} to {high:,} {unit} each, median {middle:,}"
        spans = [f"{n / found.rate:.3g}" for n in (low, high)] if found.rate else []
        seconds = f" ({' to '.join(dict.fromkeys(spans))} s)" if spans else ""
        absent = [int((~item.values.isfinite()).sum()) for item in items]
        lines = [
            f"{len(items):,} sequences in {len(found.classes)} classes: "
            + ", ".join(f"{name} {counts[name]:,}" for name in found.classes),
            (f"{low:,} {unit} each" if low == high else many) + seconds,
            f"channels: {', '.join(found.channels) or 'bytes'}"
            + (f"; {found.rate:g} samples a second" if found.rate else ""),
            f"missing values: {sum(absent):,}"
            + (f", in {sum(n > 0 for n in absent):,} sequences" if sum(absent) else "")
            + (REFUSED if refuses and sum(absent) else ""),
            "parts: " + ", ".join(f"{part} {self.parts.count(part):,}" for part in PARTS),
        ]
        if self.way == "group":
            groups = {self._group(item) for item in items}
            lines.append(f"{len(groups):,} groups, each in one part alone")
        if self.max_length and (cut := int((lengths > self.max_length).sum())):
            lines.append(f"{cut:,} sequences are cut off after {self.max_length:,} {unit}")
        if left := self.listing.left_out:
            lines.append(f"{len(left):,} other files are left out, the first {left[0]}")
        return [*lines, *self.notes]


def _views(held: FixedSequences | RaggedSequences | TokenSequences) -> list[Tensor]:
    """Each sequence as it is held."""
    if isinstance(held, FixedSequences):
        return [*held.x]
    whole = held.tokens if isinstance(held, TokenSequences) else held.samples
    return [*whole.split(held.sizes.tolist())]
