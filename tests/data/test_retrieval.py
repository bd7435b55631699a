"""Pairs of papers as bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spikescan.data import DataError
from spikescan.data.retrieval import Retrieval

PARTS = ("train", "eval", "test")


def write(folder: Path) -> Path:
    base = folder / "root" / "aan"
    base.mkdir(parents=True)
    for part in PARTS:
        rows = [f"{i % 2}.0\t{i}\t{i + 1}\t{part} paper {i}\tpaper {i * i}\n" for i in range(24)]
        (base / f"new_aan_pairs.{part}.tsv").write_text("".join(rows))
    return base.parent


def tiny(folder: Path) -> list[str]:
    return [f"--data.root={write(folder)}", "--data.max_length=16", "--data.batch_size=4"]


def test_pairs_keep_their_texts(tmp_path: Path) -> None:
    data = Retrieval(root=str(write(tmp_path)))
    assert [len(part) for part in data.splits] == [24, 24, 24]
    batch = data.splits.val.batch(torch.tensor([5, 2]), 0)
    assert batch.y.tolist() == [1, 0]
    assert batch.lengths is not None
    texts = [
        bytes(t - 1 for t in row[: length - 1])
        for row, length in zip(batch.x.tolist(), batch.lengths.tolist(), strict=True)
    ]
    assert texts == [b"eval paper 5", b"paper 25", b"eval paper 2", b"paper 4"]
    assert [int(row[n - 1]) for row, n in zip(batch.x, batch.lengths, strict=True)] == [257] * 4
    assert Retrieval(root=str(data.root), max_length=6).splits.test[0].x.shape == (2, 6)


def test_damaged_rows_are_named(tmp_path: Path) -> None:
    root = write(tmp_path)
    path = root / "aan" / "new_aan_pairs.test.tsv"
    for content, message in (
        ("1\ta\tb\tone\ttwo\n2\ta\tb\tone\ttwo\n", "line 2 must be a label"),
        ("1\ta\tb\tone\n", "line 1 must be a label"),
        ("1\ta\tb\tone\t\n", "line 1 has an empty text"),
        ("", "has no pairs"),
    ):
        path.write_text(content)
        with pytest.raises(DataError, match=rf"pairs\.test\.tsv.*{message}"):
            Retrieval(root=str(root)).setup()
    path.unlink()
    with pytest.raises(DataError, match=r"new_aan_pairs\.test\.tsv is missing.*long-range-arena"):
        Retrieval(root=str(root)).setup()
