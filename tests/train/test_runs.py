"""Runs: they learn, resume to the same weights, refuse foreign checkpoints, use two processes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from run_support import figures, start

from spikescan.cli import main

RECIPE = """\
title: "probe: which of four frequencies"
data:
  class_path: spikescan.data.Probe
  init_args: {length: 64, samples: 128, batch_size: 16}
model:
  features: 16
  depth: 1
  block:
    class_path: spikescan.models.SDTCM
    init_args:
      dropout: 0.1
      neuron:
        class_path: spikescan.PRF
        init_args: {theta_max: 3.0, dt_min: 0.2, dt_max: 1.0, tau: 20.0}
task: {optimizer: {lr: 0.02, schedule: constant, warmup: 0.0}}
trainer: {max_epochs: 4}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "probe.yaml"
    path.write_text(RECIPE)
    return str(path)


def train(recipe: str, runs: Path, name: str, *more: str) -> Path:
    assert main(["train", recipe, f"--runs={runs}", f"--name={name}", *more]) == 0
    return runs / name


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("no_pictures")
def test_training_learns(recipe: str, tmp_path: Path) -> None:
    run = train(recipe, tmp_path, "a", "--trainer.max_epochs=8")
    results = json.loads((run / "results.json").read_text())
    assert results["test_accuracy"] > 0.6  # four classes: chance is 0.25
    losses = [float(row["train/loss"]) for row in rows(run) if row["train/loss"]]
    assert len(losses) == 8
    assert losses[-1] < 0.5 * losses[0]
    assert 0 < results["firing_rate"] < 1
    assert results["steps_per_second"] > 100


@pytest.mark.usefixtures("no_pictures")
def test_resumed_run_has_the_weights_of_an_unbroken_one(recipe: str, tmp_path: Path) -> None:
    whole = train(recipe, tmp_path, "whole")
    broken = train(recipe, tmp_path, "broken", "--trainer.max_epochs=2")
    assert main(["train", "--resume", str(broken), "--trainer.max_epochs=4"]) == 0
    expected, got = weights(whole), weights(broken)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert torch.equal(got[name], value), name
    assert len([row for row in rows(broken) if row["train/loss"]]) == 4


@pytest.mark.usefixtures("no_pictures")
def test_same_seed_same_weights_other_seed_others(recipe: str, tmp_path: Path) -> None:
    options = "--trainer.max_epochs=1"
    one, two = (weights(train(recipe, tmp_path, name, options)) for name in ("a", "b"))
    other = weights(train(recipe, tmp_path, "c", options, "--seed=1"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["model.head.linear.weight"], other["model.head.linear.weight"])


@pytest.mark.usefixtures("no_pictures")
def test_test_repeats_the_result(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(recipe, tmp_path, "a", "--trainer.max_epochs=1")
    before = figures(run)
    (run / "report.html").unlink()
    assert main(["test", str(run)]) == 0
    assert figures(run) == before
    assert (run / "report.html").is_file()
    assert f"{100 * before['test_accuracy']:.2f} %" in capsys.readouterr().out


@pytest.mark.usefixtures("no_pictures")
def test_checkpoint_of_another_network_is_refused(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(recipe, tmp_path, "a", "--trainer.max_epochs=1")
    assert main(["test", str(run), "--model.features=32"]) == 2
    error = capsys.readouterr().err
    assert "another network" in error
    assert "(16, 1) there and (32, 1)" in error
    assert error.count("\n") == 1
    (run / "checkpoints" / "best.ckpt").write_bytes(b"not a checkpoint")
    assert main(["test", str(run)]) == 2
    assert "not a readable checkpoint" in capsys.readouterr().err


def test_two_processes_train_one_network(recipe: str, tmp_path: Path) -> None:
    two = ("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp")
    process = start(recipe, tmp_path, "--name=two", "--trainer.max_epochs=1", *two)
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert out.count("epoch 1/1") == 1
    results = json.loads((tmp_path / "two" / "results.json").read_text())
    assert 0 <= results["test_accuracy"] <= 1
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == ["two"]
    # 102 training sequences on two processes of batch 16: half as many steps as on one.
    steps = torch.load(tmp_path / "two" / "checkpoints" / "last.ckpt", weights_only=True)
    assert steps["global_step"] == 4


@pytest.mark.usefixtures("no_pictures")
def test_a_network_without_neurons_has_no_firing_rate(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = "--model.block=spikescan.models.GRUBlock"
    run = train(recipe, tmp_path, "gru", block, "--trainer.max_epochs=1")
    told = capsys.readouterr().out
    assert "firing rate" not in told
    assert "no steps a second: cannot fold " in told
    results = json.loads((run / "results.json").read_text())
    assert results["firing_rate"] is results["steps_per_second"] is None
