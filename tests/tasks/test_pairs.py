"""Pairs: two sequences through one network, and what compares them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from spikescan.cli import main
from spikescan.data import Facts, PairClasses, ProbePairs
from spikescan.models import SDTCM, Backbone
from spikescan.tasks import Classification
from spikescan.tasks.pairs import Comparison
from support import draw


def test_the_comparison_is_its_equation() -> None:
    compare = Comparison(3, 2)
    both = draw(4, 3)
    for i in range(2):
        u, v = both[2 * i], both[2 * i + 1]
        seen = torch.cat((u, v, u * v, u - v))
        due = compare.linear((compare.hidden.weight @ seen + compare.hidden.bias).relu())
        torch.testing.assert_close(compare(both)[i], due)
    with pytest.raises(ValueError, match="pairs need an even number of sequences, got 3"):
        compare(both[:3])


def test_both_go_through_one_network_and_padding_is_not_seen() -> None:
    facts = Facts(PairClasses(("different", "same")), length=8)
    task = Classification(Backbone(SDTCM, features=4, depth=1), facts).eval()
    x, lengths = draw(4, 8, 1), torch.tensor([8, 3, 5, 8])
    out = task(x, lengths)
    assert out.shape == (2, 2)
    x[1, 3:] = torch.nan
    torch.testing.assert_close(task(x, lengths), out)
    alone = [task.model(x[i : i + 1, :n])[0] for i, n in enumerate(lengths.tolist())]
    assert task.compare is not None
    torch.testing.assert_close(task.compare(torch.cat(alone)), out)
    assert len(task.predict(x, lengths)) == 2


def test_half_of_the_generated_pairs_are_alike() -> None:
    data = ProbePairs(samples=400, length=16)
    train = data.splits.train
    kinds = torch.arange(400) % 4
    pairs = train.pairs  # type: ignore[attr-defined]
    assert torch.equal((kinds[pairs[:, 0]] == kinds[pairs[:, 1]]).long(), train.y)
    assert 150 < int(train.y.sum()) < 250


def test_a_run_of_pairs(tmp_path: Path, no_pictures: list[Any]) -> None:
    options = [
        "--data.samples=64",
        "--data.length=32",
        "--data.variable=true",
        "--model.features=8",
    ]
    run = ["train", "pairs", f"--runs={tmp_path}", "--name=run", "--trainer.max_epochs=1"]
    assert main([*run, *options]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert 0 <= results["test_accuracy"] <= 1
    assert 0 < results["firing_rate"] < 1
    # The comparison's own: 4 D D + D, and 2 D + 2.
    task_alone = Classification(
        Backbone(SDTCM, features=8, depth=1), Facts(PairClasses(("a", "b")), length=8)
    )
    assert results["parameters"] == sum(p.numel() for p in task_alone.parameters())
    assert len(no_pictures[0].raster.input) <= 32
