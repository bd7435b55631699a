"""Every shipped recipe trains a few steps, on tiny generated data in place of its own."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
import yaml

from data.kinds import tiny
from spikescan.cli import main
from spikescan.data import SequenceBatch
from spikescan.recipes import recipes, title
from spikescan.recipes.rows import describe, outdated, rows
from spikescan.report import RunRecord, write_report
from spikescan.train import read_recipe

SHORT = ["--model.features=8", "--trainer.max_epochs=2"]


def one_a_task() -> list[str]:
    """The first recipe of each task."""
    first: dict[str, str] = {}
    for name, path in recipes().items():
        first.setdefault(yaml.safe_load(path.read_text())["task"].get("class_path", ""), name)
    return list(first.values())


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKESCAN_CACHE", str(tmp_path / "cache"))


@pytest.mark.no_cover  # nearly all of it is Lightning's, and what is ours runs elsewhere too
@pytest.mark.parametrize("name", recipes())
def test_recipe_trains(name: str, tmp_path: Path) -> None:
    made = read_recipe(recipes()[name], [*SHORT, *tiny(recipes()[name], tmp_path)])
    task = made.task
    before = {name: value.clone() for name, value in task.named_parameters()}
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=2,
        limit_val_batches=1,
        limit_test_batches=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, made.data)
    assert torch.isfinite(trainer.callback_metrics["train/loss"])
    for part, value in task.named_parameters():
        assert torch.isfinite(value).all(), part
    assert any(not torch.equal(before[n], value) for n, value in task.named_parameters())
    (measured,) = trainer.test(task, made.data, verbose=False)
    assert f"test/{task.headline.name}" in measured


@pytest.mark.parametrize("name", one_a_task())
def test_recipe_becomes_a_run(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_pictures: list[Any]
) -> None:
    data = tiny(recipes()[name], tmp_path)
    assert main(["train", name, f"--runs={tmp_path}", "--name=run", *SHORT, *data]) == 0
    run = tmp_path / "run"
    out = capsys.readouterr().out
    assert "epoch 2/2" in out
    assert str(run / "report.html") in out
    for file in ("config.yaml", "metrics.csv", "results.json", "environment.json", "report.html"):
        assert (run / file).stat().st_size > 0, file
    assert (run / "checkpoints" / "best.ckpt").is_file()
    # Of the page what the task gives to it; the rest is drawn in test_run_commands.
    (record,) = no_pictures
    assert record.sections
    own = RunRecord(title=record.title, recipe="", sections=record.sections)
    page = write_report(own, run / "own.html").read_text()
    for section in record.sections:
        assert escape(section.heading) in page
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    assert resolved["model"]["features"] == 8


def kind(model: dict[str, Any]) -> str:
    return (model["block"] or model["encoder"])["class_path"]


def one_a_network() -> list[str]:
    """The first recipe with each kind of block, or of encoder without blocks."""
    first: dict[str, str] = {}
    for name, path in recipes().items():
        first.setdefault(kind(yaml.safe_load(path.read_text())["model"]), name)
    return list(first.values())


def test_every_recipe_has_its_row() -> None:
    said = "python -m spikescan.recipes.rows writes the rows anew"
    assert outdated() == [], said


@pytest.mark.parametrize("name", one_a_network())
def test_row_is_what_is_built(name: str) -> None:
    assert describe(recipes()[name]) == rows()[name]


@pytest.mark.parametrize("name", recipes())
def test_recipe_says_what_it_is(name: str) -> None:
    assert title(recipes()[name]).startswith(f"{name}: ")


@pytest.mark.parametrize("neuron", ["DSN", "LIF", "SlidingPSN", "PSN"])
@pytest.mark.parametrize(
    ("name", "part", "size"),
    [
        ("digits_dsn", "block", "--data.size=8"),
        ("digits_transformer", "block", "--data.size=8"),
        ("nmnist_cnn", "encoder", "--model.encoder.channels=[2, 3]"),
        ("mnist_rows_cnn", "encoder", "--model.encoder.channels=[2, 3]"),
    ],
)
def test_the_neuron_of_an_architecture_is_one_option(
    name: str, part: str, size: str, neuron: str
) -> None:
    """DSN's architectures with the neurons that its paper compares it with."""
    chosen = [f"--model.{part}.neuron=spikescan.{neuron}", "--model.features=8", size]
    if neuron == "PSN":
        chosen.append(f"--model.{part}.neuron.steps=64")
    made = read_recipe(recipes()[name], chosen)
    kinds = {type(module).__name__ for module in made.task.modules()}
    assert neuron in kinds
    assert kinds.isdisjoint({"DSN", "LIF", "SlidingPSN", "PSN"} - {neuron})
    inputs = made.task.model.backbone.inputs
    batch = SequenceBatch(torch.randn(4, 64, inputs), torch.arange(4))
    made.task.loss(made.task(batch.x), batch).backward()
    grads = [p.grad for p in made.task.model.backbone.parameters()]
    assert any(g is not None and bool(g.abs().sum() > 0) for g in grads)
