"""A run that goes on is the run that it was: what may differ, what may not, what is not lost."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
import yaml
from run_support import train

from spikescan.cli import main
from spikescan.tasks import Classification

pytestmark = pytest.mark.usefixtures("no_pictures")


def resume(run: Path, *options: str) -> int:
    return main(["train", "--resume", str(run), *options])


def last(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--task.optimizer.lr=0.1", "task.optimizer.lr (0.02 there, 0.1 asked for)"),
        (
            "--task.optimizer.weight_decay=0.5",
            "task.optimizer.weight_decay (0.01 there, 0.5 asked for)",
        ),
        ("--model.block.neuron.tau=7.0", "model.block.neuron.tau (20.0 there, 7.0 asked for)"),
        ("--data.noise=0.5", "data.noise (0.3 there, 0.5 asked for)"),
        ("--seed=3", "seed (0 there, 3 asked for)"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    option: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, "--trainer.max_epochs=1") == 0
    run = tmp_path / "run"
    config = (run / "config.yaml").read_text()
    capsys.readouterr()
    assert resume(run, "--trainer.max_epochs=2", option) == 2
    assert capsys.readouterr().err == (
        f"spikescan: {run} cannot be resumed with another {words}; train a new run with it\n"
    )
    assert (run / "config.yaml").read_text() == config


def test_test_refuses_another_network_or_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, "--trainer.max_epochs=1") == 0
    for option in ("--model.block.neuron.tau=7.0", "--task.label_smoothing=0.1"):
        assert main(["test", str(tmp_path / "run"), option]) == 2
        assert "cannot be tested with another" in capsys.readouterr().err
    assert main(["test", str(tmp_path / "run"), "--data.noise=0.5"]) == 0


def test_fewer_epochs_than_trained_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path) == 0
    run = tmp_path / "run"
    capsys.readouterr()
    assert resume(run, "--trainer.max_epochs=1") == 2
    assert capsys.readouterr().err == (
        f"spikescan: {run} has trained 2 epochs already; trainer.max_epochs must be at least 2, "
        "got 1\n"
    )
    (run / "results.json").unlink()
    assert resume(run) == 0  # trained to its end: what is left is the test
    assert (run / "results.json").is_file()


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        (["--data.batch_size=8"], 4),
        (["--trainer.limit_train_batches=1"], 1),
        (["--trainer.accumulate_grad_batches=2"], 1),
    ],
)
def test_the_learning_rate_does_not_jump(
    options: list[str], steps: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path) == 0
    run = tmp_path / "run"
    before = last(run)
    capsys.readouterr()
    assert resume(run, "--trainer.max_epochs=3", *options) == 2
    assert capsys.readouterr().err == (
        f"spikescan: an epoch of this run has 2 steps and would have {steps} now, after which the "
        "learning rate would jump: give the batch size and the number of devices that it began "
        "with, or others with the same product\n"
    )
    assert all(torch.equal(value, before[name]) for name, value in last(run).items())
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["max_epochs"] == 2
    # The same product: half of the batch, two of them a step.
    same = ("--data.batch_size=8", "--trainer.accumulate_grad_batches=2")
    assert resume(run, "--trainer.max_epochs=3", *same) == 0


def test_rows_of_metrics_survive_a_resumed_run_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path) == 0
    metrics = tmp_path / "run" / "metrics.csv"
    before = metrics.read_text()
    step = Classification.training_step

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Classification, "training_step", killed)
    assert resume(tmp_path / "run", "--trainer.max_epochs=3") == 130
    assert metrics.read_text() == before
    monkeypatch.setattr(Classification, "training_step", step)
    assert resume(tmp_path / "run") == 0  # the number of epochs is that of the last start
    rows = list(csv.DictReader(metrics.read_text().splitlines()))
    assert [row["epoch"] for row in rows if row["train/loss"]] == ["0", "1", "2"]


def test_a_run_killed_before_its_first_epoch_is_resumed_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, name="whole") == 0
    step = Classification.training_step

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Classification, "training_step", killed)
    assert train(tmp_path) == 130
    run = tmp_path / "run"
    assert capsys.readouterr().err == (
        f"spikescan: interrupted; go on with: spikescan train --resume {run}\n"
    )
    monkeypatch.setattr(Classification, "training_step", step)
    assert train(tmp_path) == 2
    assert "exists already; choose another --name, or --resume it" in capsys.readouterr().err
    assert resume(run) == 0
    expected = last(tmp_path / "whole")
    assert all(torch.equal(value, expected[name]) for name, value in last(run).items())


@pytest.mark.parametrize("steps", [1, 3])
def test_an_epoch_cut_short_is_done_again(steps: int, tmp_path: Path) -> None:
    constant = ("--task.optimizer.schedule=constant", "--task.optimizer.warmup=0")
    assert train(tmp_path, *constant, name="whole") == 0
    assert train(tmp_path, f"--trainer.max_steps={steps}", *constant) == 0
    run = tmp_path / "run"
    assert (run / "results.json").is_file()
    assert resume(run, "--trainer.max_steps=-1") == 0
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 4
    expected = last(tmp_path / "whole")
    assert all(torch.equal(value, expected[name]) for name, value in last(run).items())


def test_a_moved_run_keeps_its_best_epoch(tmp_path: Path) -> None:
    assert train(tmp_path, "--trainer.max_epochs=1") == 0
    moved = tmp_path / "moved"
    (tmp_path / "run").rename(moved)
    path = moved / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    (state,) = (s for name, s in checkpoint["callbacks"].items() if name == "Keep")
    state["best"] = 0.0  # no loss is lower
    torch.save(checkpoint, path)
    best = (moved / "checkpoints" / "best.ckpt").read_bytes()
    assert resume(moved, "--trainer.max_epochs=2") == 0
    assert (moved / "checkpoints" / "best.ckpt").read_bytes() == best
