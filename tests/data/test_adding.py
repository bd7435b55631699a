"""Two marked numbers are to be added, over any length."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spikescan.data import Adding, Classes, DataError, Facts, SequenceBatch, Values
from spikescan.models import SDTCM, Backbone
from spikescan.tasks.regression import Regression


def tiny(folder: Path) -> list[str]:
    return ["--data.length=32", "--data.samples=32", "--data.batch_size=8"]


@pytest.mark.parametrize("length", [2, 3, 1_048_576])
def test_the_answer_is_the_sum_of_what_is_marked(length: int) -> None:
    data = Adding(length=length, samples=8)
    batch = data.splits.train.batch(torch.tensor([5, 0]), 0)
    assert batch.x.shape == (2, length, data.facts.inputs)
    number, marked = batch.x.unbind(-1)
    half = length // 2
    assert marked[:, :half].sum(1).tolist() == marked[:, half:].sum(1).tolist() == [1, 1]
    torch.testing.assert_close((number * marked).sum(1, keepdim=True), batch.y)
    again = Adding(length=length, samples=8).splits.train.batch(torch.tensor([0]), 3)
    assert torch.equal(again.x[0], batch.x[1])


def test_who_always_says_the_mean_has_a_sixth() -> None:
    y = Adding(length=4, samples=20_000).splits.train.y
    assert float(y.var()) == pytest.approx(1 / 6, rel=0.03)


def test_values_are_said_in_their_unit() -> None:
    torch.manual_seed(0)
    facts = Facts(Values(("a", "b")), length=8)
    task = Regression(Backbone(SDTCM, features=4, depth=1), facts).eval()
    task.centre.copy_(torch.tensor([100.0, 0.0]))
    task.spread.copy_(torch.tensor([10.0, 2.0]))
    torch.nn.init.zeros_(task.model.head.linear.weight)
    torch.nn.init.ones_(task.model.head.linear.bias)
    x = torch.randn(3, 8, 1)
    assert task.predict(x) == ["a 110, b 2"] * 3
    batch = SequenceBatch(x, torch.tensor([[100.0, 0.0]]).expand(3, 2))
    torch.testing.assert_close(task.loss(task(x), batch), torch.tensor(1.0))


def test_what_does_not_fit_is_told() -> None:
    body = Backbone(SDTCM, features=4, depth=1)
    with pytest.raises(ValueError, match="Regression needs data whose target is Values"):
        Regression(body, Facts(Classes(("a",)), length=8))
    with pytest.raises(DataError, match=r"must be real values of shape \(N, 1\), got"):
        Values(("sum",)).check(torch.zeros(3), "test")
    with pytest.raises(DataError, match="must be finite"):
        Values(("sum",)).check(torch.full((3, 1), torch.nan), "test")
