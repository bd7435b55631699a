"""Classification: what it says of an output, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spikescan.data import Classes, Facts, Horizon, SequenceBatch
from spikescan.models import SDTCM, Backbone
from spikescan.tasks import Classification

FACTS = Facts(Classes(("cat", "dog", "owl")), length=8)


def tiny(folder: Path) -> list[str]:
    return [
        "--data=spikescan.data.Probe",
        "--data.samples=48",
        "--data.length=64",
        "--data.batch_size=16",
        "--data.variable=true",
    ]


def task(facts: Facts = FACTS) -> Classification:
    return Classification(Backbone(SDTCM, features=4, depth=1), facts)


def test_answers_in_words() -> None:
    out = torch.tensor([[0.0, 4.0, 0.0], [9.0, 0.0, 0.0]])
    batch = SequenceBatch(torch.zeros(2, 8, 1), torch.tensor([2, 0]))
    # exp(4) / (exp(4) + 2) = 0.96466
    assert task().predictions(out) == ["dog (96.5 %)", "cat (100.0 %)"]
    assert task().verdicts(out, batch) == [
        "true class owl, taken for dog",
        "true class cat, recognised",
    ]


def test_a_test_is_counted_once_and_anew() -> None:
    answers = task()
    batch = SequenceBatch(torch.zeros(2, 8, 1), torch.tensor([2, 0]))
    for _ in range(2):
        answers.on_test_epoch_start()
        answers.collect(torch.eye(3)[[1, 0]], batch)
        answers.on_test_epoch_end()
    (section,) = answers.sections()
    assert section.alt == (
        "Confusion matrix of 3 classes. 1 of 2 right (50.0%). "
        "Most frequent error: owl taken for dog (1 times)"
    )


def test_other_targets_are_refused() -> None:
    facts = Facts(Horizon(4, ("a",)), length=8)
    with pytest.raises(
        ValueError, match="Classification needs data whose target is Classes, got Horizon"
    ):
        task(facts)
