"""Classification: what it says of an output, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from spikescan.cli import main
from spikescan.data import Classes, Facts, Horizon, SequenceBatch, StepClasses
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


def task(facts: Facts = FACTS, **options: Any) -> Classification:
    return Classification(Backbone(SDTCM, features=4, depth=1), facts, **options)


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


# Weights and measures


def test_given_weights_weigh_the_loss() -> None:
    out, y = torch.randn(5, 3), torch.tensor([0, 1, 2, 2, 1])
    each = torch.nn.functional.cross_entropy(out, y, reduction="none")
    w = torch.tensor([1.0, 2.0, 5.0])[y]
    batch = SequenceBatch(torch.zeros(5, 8, 1), y)
    torch.testing.assert_close(
        task(class_weights=[1.0, 2.0, 5.0]).loss(out, batch), (w * each).sum() / w.sum()
    )
    torch.testing.assert_close(task().loss(out, batch), each.mean())


def test_balanced_weights_are_counted_in_the_training_data() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    y = torch.tensor([0] * 6 + [1] * 3 + [2])
    model = task(class_weights="balanced")
    data = SimpleNamespace(facts=FACTS, splits=SimpleNamespace(train=SimpleNamespace(y=y)))
    model.trainer = SimpleNamespace(datamodule=data)  # type: ignore[assignment]
    model.setup("fit")
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y.numpy())
    assert model.weights is not None
    assert model.weights.tolist() == pytest.approx(expected.tolist())
    assert "weights" not in model.state_dict()


@pytest.mark.parametrize("weights", [[1.0, 2.0], [1.0, 0.0, 2.0], [1.0, float("nan"), 2.0]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    said = f"class_weights must be 3 positive numbers, one a class, got {weights}"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        task(class_weights=weights)


def test_measures_of_rare_classes_agree_with_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

    generator = torch.Generator().manual_seed(0)
    y = torch.tensor([0] * 40 + [1] * 8 + [2] * 4)
    out = torch.randn(52, 3, generator=generator) + 1.5 * torch.eye(3)[y]
    said = out.argmax(1)
    values = {}
    for name, metric in task().metrics["on_val"].items():  # type: ignore[union-attr, operator]
        for rows in torch.arange(52).split(20):
            metric.update(out[rows], y[rows])
        values[name] = float(metric.compute())
    assert values == pytest.approx(
        {
            "accuracy": accuracy_score(y, said),
            "macro_f1": f1_score(y, said, average="macro"),
            "balanced_accuracy": balanced_accuracy_score(y, said),
        }
    )


def test_headline_and_classes_that_count() -> None:
    from sklearn.metrics import f1_score, recall_score

    model = task(headline="macro_f1", counted=["cat", "owl"], watched="balanced_accuracy")
    assert [q.name for q in model.quantities] == ["macro_f1", "accuracy", "balanced_accuracy"]
    assert model.headline.better == model.watched.better == "higher"
    assert model.watched.name == "balanced_accuracy"
    assert task().watched.name == "loss"
    generator = torch.Generator().manual_seed(0)
    y = torch.tensor([0] * 20 + [1] * 8 + [2] * 4)
    out = torch.randn(32, 3, generator=generator) + torch.eye(3)[y]
    metrics = model.metrics["on_test"]
    values = {}
    for name, metric in metrics.items():  # type: ignore[union-attr, operator]
        metric.update(out, y)
        values[name] = float(metric.compute())
    options = {"labels": [0, 2], "average": "macro"}
    assert values["macro_f1"] == pytest.approx(f1_score(y, out.argmax(1), **options))
    assert values["balanced_accuracy"] == pytest.approx(recall_score(y, out.argmax(1), **options))
    for counted in ([], ["cow"]):
        with pytest.raises(ValueError, match="counted must be some of cat, dog, owl, got"):
            task(counted=counted)


@pytest.mark.usefixtures("no_pictures")
def test_a_recipe_balances_its_classes(tmp_path: Path) -> None:
    options = [*tiny(tmp_path), "--model.features=4", "--trainer.max_epochs=1"]
    run = ["train", "digits", f"--runs={tmp_path}", "--name=run", *options]
    assert main([*run, "--task.class_weights=balanced"]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert 0 <= results["test_macro_f1"] <= 1
    assert 0 <= results["test_balanced_accuracy"] <= 1
    (tmp_path / "run" / "results.json").unlink()
    assert main(["test", str(tmp_path / "run")]) == 0
    again = json.loads((tmp_path / "run" / "results.json").read_text())
    assert again["test_loss"] == pytest.approx(results["test_loss"], rel=1e-6)


def test_of_steps_padding_counts_for_nothing() -> None:
    torch.manual_seed(0)
    facts = Facts(StepClasses(("cat", "dog")), length=8)
    names = task(facts, class_weights=[1.0, 3.0]).eval()
    x, y = torch.randn(2, 6, 1), torch.tensor([[0, 1, 1, 0, 1, 1], [1, 0, 1, 0, 0, 0]])
    batch = SequenceBatch(x, y, torch.tensor([6, 3]))
    out = names(x, batch.lengths)
    assert out.shape == (2, 6, 2)
    weights = torch.tensor([1.0, 3.0])
    flat = torch.cat((out[0], out[1, :3])), torch.cat((y[0], y[1, :3]))
    expected = torch.nn.functional.cross_entropy(*flat, weight=weights)
    torch.testing.assert_close(names.loss(out, batch), expected)
    assert names.weight(batch) == 9
    assert names.predict(x, batch.lengths)[1] == names.predict(x[1:, :3])[0]
    assert "of 3 steps recognised" in names.verdicts(out, batch)[1]
    names.on_test_epoch_start()
    names.collect(out, batch)
    names.on_test_epoch_end()
    assert names._counts.sum() == 9
