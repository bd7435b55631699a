"""A person's items: where they lie, and how they become training, validation and test data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from spikescan.data import DataError, Item, Split
from spikescan.data.own.items import class_folders, natural
from spikescan.data.own.split import deal, torn


def items(*counts: int, groups: str = "abcdefgh") -> list[Item]:
    return [
        Item(f"{label}/{groups[i % len(groups)]}_{i}.wav", torch.zeros(1, 1), label)
        for label, count in zip("xyz", counts, strict=False)
        for i in range(count)
    ]


def test_each_class_keeps_its_proportion_and_the_seed_decides() -> None:
    mine = items(40, 20)
    parts = deal(mine, Split())
    for label, count in (("x", 40), ("y", 20)):
        own = [part for part, item in zip(parts, mine, strict=True) if item.label == label]
        assert [own.count(p) for p in ("test", "val")] == [round(0.15 * count)] * 2
    assert deal(mine, Split()) == parts
    assert deal(mine, Split(seed=1)) != parts


def test_three_items_are_one_for_each_part() -> None:
    parts = deal(items(3, 3), Split(val=0.5, test=0.4))
    assert sorted(parts) == ["test", "test", "train", "train", "val", "val"]
    with pytest.raises(DataError) as error:
        deal(items(1, 1), Split())
    assert str(error.value) == (
        "class 'x' has 1 item, and needs at least 3: one for each part of the data"
    )


def test_groups_stay_together() -> None:
    mine = items(40, 20)
    for seed in range(5):
        split = Split(by="group", group=r"/(\w)_", seed=seed)
        parts = deal(mine, split)
        of: dict[str, set[str]] = {}
        for item, part in zip(mine, parts, strict=True):
            of.setdefault(split.group_of(item), set()).add(part)
        assert len(of) == 8
        assert all(len(part) == 1 for part in of.values())
        assert {*parts} == {"train", "val", "test"}
    with pytest.raises(DataError, match=r"^there are 2 groups \(a, b\), and at least 3 are needed"):
        deal(items(9, 9, groups="ab"), Split(by="group", group=r"/(\w)_"))
    with pytest.raises(DataError, match=r"^split.group 'speaker' is not found in the name x/a_0"):
        deal(items(9, 9), Split(by="group", group="speaker"))
    with pytest.raises(DataError, match=r"^x/a_0.wav has no group; give split.group, a pattern"):
        deal(items(9, 9), Split(by="group"))


def test_a_class_that_is_not_trained_is_told() -> None:
    mine = [Item(f"{g}{i}", torch.zeros(1, 1), g, g) for g in "abc" for i in range(4)]
    with pytest.raises(
        DataError, match=r"^class '[abc]' has no item left to train, as all its gro"
    ):
        deal(mine, Split(by="group"))


def test_time_goes_from_training_to_test() -> None:
    mine = [Item(f"r{i}", torch.zeros(1, 1), "xy"[i % 2]) for i in range(20)]
    parts = deal(mine[::-1], Split(by="time", val=0.2, test=0.2))[::-1]
    assert parts == ["train"] * 12 + ["val"] * 4 + ["test"] * 4


def test_given_parts_are_kept() -> None:
    mine = items(10, 10)
    given = [item._replace(part="test" if i % 5 == 0 else "train") for i, item in enumerate(mine)]
    parts = deal(given, Split(val=0.25))
    assert [p == "test" for p in parts] == [item.part == "test" for item in given]
    assert parts.count("val") == 4


def test_groups_are_kept_whole_unless_told_otherwise() -> None:
    mine = items(12, 12, groups="abcdefgh")
    named = [item._replace(group=item.name.partition("/")[2][0]) for item in mine]
    assert deal(named, Split()) == deal(named, Split(by="group"))
    assert deal(mine, Split(group=r"/(\w)_")) == deal(mine, Split(by="group", group=r"/(\w)_"))
    assert not torn(named, deal(named, Split()))
    parts = deal(named, Split(by="file"))
    assert parts == deal(mine, Split())
    (told,) = torn(named, parts)
    assert re.match(r"\d of 8 groups lie in more than one part, first \w: ", told)
    # Where all parts are given, nothing is dealt: that groups are torn is told.
    given = [item._replace(part=part) for item, part in zip(named, parts, strict=True)]
    assert deal(given, Split()) == parts
    with pytest.raises(DataError, match=r"split\.by=file"):
        deal(given, Split(by="group"))


def test_a_class_of_the_test_part_alone_is_named() -> None:
    mine = [item._replace(part="test" if item.label == "y" else "train") for item in items(9, 9)]
    with pytest.raises(
        DataError, match=r"class 'y' has no item to learn from: .* all of it into test"
    ):
        deal(mine, Split())


def test_given_parts_do_not_tear_groups_apart() -> None:
    split = Split(by="group", group=r"/(\w)_")
    whole = [i._replace(part="test" if "/a_" in i.name else "train") for i in items(16, 16)]
    assert deal(whole, split).count("test") == 4
    torn = [whole[0]._replace(part="train"), *whole[1:]]
    words = r"^group 'a' is in (train|val) \(x/a_0.wav\) and in test \(x/a_8.wav\) by the parts"
    with pytest.raises(DataError, match=words):
        deal(torn, split)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val": 0.0}, r"split.val must be between 0 and 1, got 0.0"),
        ({"val": 0.5, "test": 0.5}, r"split.val and split.test must leave something to train"),
        ({"by": "file", "group": "a"}, r"split.group needs split.by=group, got file"),
        ({"by": "group", "group": "("}, r"split.group is no regular expression: missing \)"),
        ({"seed": -1}, r"split.seed must be at least 0, got -1"),
    ],
)
def test_wrong_splits(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Split(**options)  # type: ignore[arg-type]


def test_files_of_class_folders(tmp_path: Path) -> None:
    for name in ("a/10.wav", "a/9.wav", "b/deep/1.WAV", "b/notes.txt", "b/.hidden.wav", "read.me"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    listing = class_folders(tmp_path, (".wav",))
    names = [(entry.name, entry.label) for entry in listing.entries]
    assert names == [("a/9.wav", "a"), ("a/10.wav", "a"), ("b/deep/1.WAV", "b")]
    assert [file.name for file in listing.left_out] == ["read.me", "notes.txt"]
    (tmp_path / "a" / "linked").symlink_to(tmp_path / "b", target_is_directory=True)
    listing = class_folders(tmp_path, (".wav",))
    assert [file.name for file in listing.left_out] == ["read.me", "linked", "notes.txt"]
    assert len(listing.entries) == 3
    (tmp_path / "a" / "linked").unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as error:
        class_folders(tmp_path, (".wav",))
    assert str(error.value) == (
        f"{tmp_path}/empty has no .wav files; remove it, or put the files of the class there"
    )
    with pytest.raises(DataError, match=r"a must have a folder for each class with its \.wav file"):
        class_folders(tmp_path / "a", (".wav",))


def test_folders_of_parts_stand_above_the_classes(tmp_path: Path) -> None:
    for name in ("train/a/1.wav", "train/b/1.wav", "Test/a/1.wav", "Test/b/1.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    entries = class_folders(tmp_path, (".wav",)).entries
    assert {(entry.name, entry.part) for entry in entries} == {
        ("train/a/1.wav", "train"), ("train/b/1.wav", "train"),
        ("Test/a/1.wav", "test"), ("Test/b/1.wav", "test"),
    }  # fmt: skip


def test_names_are_sorted_as_people_do() -> None:
    assert sorted(["a10", "a9", "a", "10", "b1"], key=natural) == ["10", "a", "a9", "a10", "b1"]
