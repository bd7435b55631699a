"""How a person's items become training, validation and test data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from spikescan.data.own.items import PARTS, Item, Part, natural
from spikescan.data.root import DataError


@dataclass(frozen=True)
class Split:
    """How items are dealt out to training, validation and test.

    Args:
        by: "file", at random, each class in its proportion; "group", whole groups, so that a
            speaker or a patient is in one part alone; "time", the first ones of each class in the
            order of their names for training, the last ones for the test. None is by group where
            the items have groups, unless their parts are all given, and by file otherwise.
        group: Pattern (a regular expression) that is searched in an item's name: its first
            bracketed part, else all that matches, is the group. Without it a column of groups.
        val: Share of validation items.
        test: Share of test items.
        seed: Seed of what is dealt out at random.

    Raises:
        ValueError: An argument is out of range.
    """

    by: Literal["file", "group", "time"] | None = None
    group: str | None = None
    val: float = 0.15
    test: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        for name, share in (("val", self.val), ("test", self.test)):
            if not 0 < share < 1:
                raise ValueError(f"split.{name} must be between 0 and 1, got {share}")
        if self.val + self.test >= 1:
            raise ValueError(
                f"split.val and split.test must leave something to train, got {self.val} and "
                f"{self.test}"
            )
        if self.seed < 0:
            raise ValueError(f"split.seed must be at least 0, got {self.seed}")
        if self.group is not None and self.by not in ("group", None):
            raise ValueError(f"split.group needs split.by=group, got {self.by}")
        try:
            re.compile(self.group or "")
        except re.error as error:
            raise ValueError(f"split.group is no regular expression: {error}") from error

    def way(self, items: Sequence[Item]) -> Literal["file", "group", "time"]:
        """How these items are dealt out."""
        if self.by is not None:
            return self.by
        dealt = not {"val", "test"} <= {item.part for item in items}
        grouped = self.group is not None or (dealt and any(item.group for item in items))
        return "group" if grouped else "file"

    def group_of(self, item: Item) -> str:
        """The group of an item.

        Raises:
            DataError: it has none.
        """
        if self.group is None:
            if not item.group:
                raise DataError(
                    f"{item.name} has no group; give split.group, a pattern that finds it in the "
                    "name, or a column of groups, or split.by=file"
                )
            return item.group
        found = re.search(self.group, item.name)
        if found is None:
            raise DataError(f"split.group {self.group!r} is not found in the name {item.name}")
        return found[1] if found.re.groups else found[0]


def deal(items: Sequence[Item], split: Split) -> list[Part]:
    """The part of each item; where some are given, the others are dealt from the training part.

    Raises:
        DataError: a class has fewer items, or there are fewer groups, than parts; no item of a
            class is left to train; or parts that are given tear a group apart that is to be whole.
    """
    way = split.way(items)
    parts: list[Part] = [item.part or "train" for item in items]
    given = {item.part for item in items} - {None}
    free = [i for i, part in enumerate(parts) if part == "train"]
    shares: dict[Part, float] = {"test": split.test, "val": split.val}
    wanted: dict[Part, float] = {part: share for part, share in shares.items() if part not in given}
    if wanted:
        take = _groups if way == "group" else _classes
        for i, part in take([items[i] for i in free], wanted, split).items():
            parts[free[i]] = part
    if way == "group":
        _check_whole(items, parts, split)
    trained = {item.label for item, part in zip(items, parts, strict=True) if part == "train"}
    for item in items:
        if item.label not in trained:
            if way != "group":
                raise DataError(
                    f"class {item.label!r} has no item to learn from: the parts that are given put "
                    f"all of it into {' and '.join(sorted(_parts_of(items, item.label)))}"
                )
            raise DataError(
                f"class {item.label!r} has no item left to train, as all its groups are in "
                "validation and test; give another split.seed, or split.by=file"
            )
    for part in PARTS:
        if part not in parts:
            raise DataError(f"the {part} part has no item")
    return parts


def _classes(items: Sequence[Item], wanted: dict[Part, float], split: Split) -> dict[int, Part]:
    """Of each class its share, by chance or the last ones."""
    out: dict[int, Part] = {}
    for number, label in enumerate(sorted({item.label or "" for item in items})):
        mine = [i for i, item in enumerate(items) if (item.label or "") == label]
        if len(mine) <= len(wanted):
            raise DataError(
                f"class {label!r} has {_count(len(mine), 'item')}, and needs at least "
                f"{1 + len(wanted)}: one for each part of the data"
            )
        if split.by == "time":
            mine.sort(key=lambda i: natural(items[i].name))
        else:
            mine = np.random.default_rng((split.seed, number)).permutation(mine).tolist()
        sizes = [max(1, round(share * len(mine))) for share in wanted.values()]
        for order, part in enumerate(wanted):
            room = len(mine) - (len(wanted) - order)
            for _ in range(min(sizes[order], room)):
                out[mine.pop()] = part
    return out


def _groups(items: Sequence[Item], wanted: dict[Part, float], split: Split) -> dict[int, Part]:
    """Whole groups by chance, until a part has its share."""
    group = [split.group_of(item) for item in items]
    names = sorted(set(group))
    if len(names) <= len(wanted):
        raise DataError(
            f"there {'is' if len(names) == 1 else 'are'} {_count(len(names), 'group')} "
            f"({', '.join(names)}), and at least {1 + len(wanted)} are needed: one for each part "
            "of the data; otherwise split.by=file"
        )
    sizes = Counter(group)
    order = np.random.default_rng(split.seed).permutation(names).tolist()
    chosen: dict[str, Part] = {}
    for left, (part, share) in enumerate(wanted.items()):
        got = 0
        while not got or (got < share * len(items) and len(order) > len(wanted) - left):
            # One that would make the part much too large is left to training.
            name = order.pop()
            chosen[name] = part
            got += sizes[name]
    return {i: chosen[name] for i, name in enumerate(group) if name in chosen}


def _check_whole(items: Sequence[Item], parts: Sequence[Part], split: Split) -> None:
    first: dict[str, tuple[Part, str]] = {}
    for item, part in zip(items, parts, strict=True):
        group = split.group_of(item)
        other, name = first.setdefault(group, (part, item.name))
        if other != part:
            raise DataError(
                f"group {group!r} is in {other} ({name}) and in {part} ({item.name}) by the parts "
                "that are given; mend them, or say split.by=file"
            )


def _parts_of(items: Sequence[Item], label: str | None) -> set[str]:
    return {item.part or "train" for item in items if item.label == label}


def torn(items: Sequence[Item], parts: Sequence[Part]) -> list[str]:
    """What to say of groups that lie in several parts."""
    places: dict[str, set[Part]] = {}
    for item, part in zip(items, parts, strict=True):
        if item.group:
            places.setdefault(item.group, set()).add(part)
    several = [group for group, found in places.items() if len(found) > 1]
    if not several:
        return []
    return [
        f"{len(several):,} of {len(places):,} groups lie in more than one part, first "
        f"{several[0]}: the test is not of new ones; split.by=group keeps them whole"
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
