"""Film reviews as bytes."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from spikescan.data import DataError
from spikescan.data.imdb import IMDB

COUNT = 10


class Few(IMDB):
    """The same with ten reviews of each class instead of 12,500."""

    reviews = COUNT


def write(folder: Path, packed: bool = False) -> Path:
    base = folder / "root" / "imdb"
    for part in ("train", "test"):
        for kind in ("neg", "pos", "unsup"):
            where = base / "aclImdb" / part / kind
            where.mkdir(parents=True)
            for i in range(COUNT):
                (where / f"{i}_{9 if kind == 'pos' else 1}.txt").write_bytes(
                    f"{part} {kind} {i} ".encode() + "très ".encode() * i
                )
    if packed:
        with tarfile.open(base / "aclImdb_labelled.tar.xz", "w:xz", preset=0) as tar:
            tar.add(base / "aclImdb", "aclImdb")
        (base / "aclImdb").rename(folder / "elsewhere")
    return base.parent


def tiny(folder: Path) -> list[str]:
    return [
        "--data=data.test_imdb.Few",
        f"--data.root={write(folder)}",
        "--data.max_length=40",
        "--data.batch_size=8",
    ]


def text(batch: object) -> str:
    tokens = batch.x[0].tolist()  # type: ignore[attr-defined]
    assert tokens.pop() == 257
    return bytes(token - 1 for token in tokens).decode()


@pytest.mark.parametrize("packed", [False, True])
def test_reviews_keep_their_class(tmp_path: Path, packed: bool) -> None:
    data = Few(root=str(write(tmp_path, packed)))
    assert [len(part) for part in data.splits] == [18, 2, 20]
    seen: set[str] = set()
    for part, name in zip(data.splits, ("train", "train", "test"), strict=True):
        for batch in part:
            said, kind, _ = text(batch).split(" ", 2)
            assert (said, kind) == (name, ("neg", "pos")[int(batch.y)])
            seen.add(text(batch))
    assert len(seen) == 40


def test_long_reviews_are_cut_and_end(tmp_path: Path) -> None:
    data = Few(root=str(write(tmp_path)), max_length=12)
    batch = data.splits.test.batch(torch.arange(20), 0)
    assert batch.x.shape == (20, 12)
    assert (batch.x[:, -1] == 257).all()
    assert data.facts.length == 12
    assert data.facts.vocabulary == 258


def test_the_other_protocol_validates_on_the_test_set(tmp_path: Path) -> None:
    root = str(write(tmp_path))
    data = Few(root=root, validation="test")
    assert [len(part) for part in data.splits] == [20, 20, 20]
    assert data.splits.val is data.splits.test
    assert len(Few(root=root, limit=6).splits.train) == 6


def test_reviews_that_are_missing_are_counted(tmp_path: Path) -> None:
    root = write(tmp_path)
    path = root / "imdb" / "aclImdb" / "test" / "pos" / "3_9.txt"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"test/pos/3_9\.txt is empty"):
        Few(root=str(root)).setup()
    path.unlink()
    with pytest.raises(DataError, match=r"9 reviews in test/pos, expected 10"):
        Few(root=str(root)).setup()
    with pytest.raises(DataError, match=r"aclImdb_v1\.tar\.gz .*ai\.stanford\.edu|ai\.stanford"):
        IMDB(root=str(tmp_path)).setup()


@pytest.mark.parametrize(
    "options", [{"max_length": 1}, {"validation": "none"}, {"limit": 0}], ids=str
)
def test_wrong_arguments_are_named(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=name):
        IMDB(**options)  # type: ignore[arg-type]


def test_the_real_reviews(real_root: Callable[[str], str]) -> None:
    data = IMDB(root=real_root("imdb"))
    assert [len(part) for part in data.splits] == [22_500, 2_500, 25_000]
    for part in data.splits:
        assert part.y.bincount().tolist() == [len(part) // 2] * 2
    sizes = data.splits.test.lengths
    assert sizes is not None
    assert int(sizes.max()) == 4_096
    assert "Once again Mr. Costner" in text(data.splits.test[0])
