"""Pairs of sequences, and the targets of pairs and of texts."""

from __future__ import annotations

import pytest
import torch

from spikescan.data import (
    DataError,
    FixedSequences,
    NextToken,
    PairClasses,
    PairSequences,
    RaggedSequences,
)


def test_pairs_stand_one_below_the_other() -> None:
    samples = torch.arange(6.0)
    pool = RaggedSequences(samples, torch.tensor([1, 2, 3]), torch.zeros(3), max_length=9)
    pairs = torch.tensor([[2, 0], [0, 1]])
    data = PairSequences(pool, pairs, torch.tensor([1, 0]))
    assert data.lengths is not None
    assert data.lengths.tolist() == [3, 2]
    x, y, lengths = data.batch(torch.tensor([1, 0]), 0)
    assert x.squeeze(-1).tolist() == [[0, 0, 0], [1, 2, 0], [3, 4, 5], [0, 0, 0]]
    assert y.tolist() == [0, 1]
    assert lengths is not None
    assert lengths.tolist() == [1, 2, 3, 1]


def test_pairs_that_do_not_fit_are_refused() -> None:
    pool = FixedSequences(torch.zeros(3, 2, 1), torch.zeros(3))
    with pytest.raises(ValueError, match=r"pairs must have shape \(2, 2\), got \(1, 2\)"):
        PairSequences(pool, torch.zeros(1, 2, dtype=torch.int64), torch.zeros(2))
    with pytest.raises(ValueError, match=r"rows of the pool, 0 \.\. 2, got 0 \.\. 3"):
        PairSequences(pool, torch.tensor([[0, 3]]), torch.zeros(1))


def test_targets_are_compared_with_the_facts() -> None:
    target = NextToken(("a", "b"), "character")
    target.check(torch.tensor([[0, 1]], dtype=torch.uint8), "test")
    with pytest.raises(DataError, match=r"integers of shape \(N, T\), got torch.int64 \(2,\)"):
        target.check(torch.tensor([0, 1]), "test")
    with pytest.raises(DataError, match=r"within 0 \.\. 1, the vocabulary, got 0 \.\. 2"):
        target.check(torch.tensor([[0, 2]]), "test")
    with pytest.raises(DataError, match="as there are 2 class names; item 1 has label 2"):
        PairClasses(("a", "b")).check(torch.tensor([0, 2]), "test")
