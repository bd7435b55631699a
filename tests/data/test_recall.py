"""Symbols to be remembered, up to a million steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spikescan.data import SequenceBatch
from spikescan.data.recall import Recall


def tiny(folder: Path) -> list[str]:
    return ["--data.length=32", "--data.samples=32", "--data.batch_size=8"]


def first(data: Recall) -> SequenceBatch:
    return data.splits.train.batch(torch.arange(6), 0)


@pytest.mark.parametrize("length", [16, 1_048_576])
def test_the_symbol_comes_first_and_nothing_after_it(length: int) -> None:
    batch = first(Recall(length=length, symbols=4, samples=16))
    assert batch.x.shape == (6, length)
    assert torch.equal(batch.x[:, 0] - 2, batch.y)
    assert (batch.x[:, 1:-1] == 0).all()
    assert (batch.x[:, -1] == 1).all()


def test_one_marked_symbol_is_the_answer() -> None:
    data = Recall(kind="selective", length=100, symbols=4, samples=16)
    batch = first(data)
    marked = batch.x >= 6
    assert (marked.sum(1) == 1).all()
    assert not marked[:, 50:].any()
    assert torch.equal(batch.x[marked] - 6, batch.y)
    assert data.facts.vocabulary == 10
    assert int(batch.x.max()) < 10
    assert (batch.x[:, :-1] >= 2).all()
    # Each sequence is one of its own, the same in every epoch, in any batch.
    again = data.splits.train.batch(torch.tensor([3]), 7)
    assert torch.equal(again.x[0], batch.x[3])
    assert len({row.numpy().tobytes() for part in data.splits for b in part for row in b.x}) == 24


@pytest.mark.parametrize(
    "options", [{"kind": "x"}, {"length": 3}, {"symbols": 1}, {"samples": 3}], ids=str
)
def test_wrong_arguments_are_named(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=name):
        Recall(**options)  # type: ignore[arg-type]
