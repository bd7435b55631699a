"""A user's own callbacks, loggers and data, named in a recipe or on the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from lightning.pytorch import callbacks
from lightning.pytorch.callbacks import Callback
from run_support import RECIPE, train

from spikescan.cli import main
from spikescan.data import FixedSequences, Probe, Splits
from spikescan.models import GRUBlock
from spikescan.models.walk import Trail
from spikescan.train import load
from spikescan.train.checkpoint import read_checkpoint

pytestmark = pytest.mark.usefixtures("no_pictures")


class Note(Callback):
    """Writes down the epochs it has seen."""

    def __init__(self, path: str) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: object, pl_module: object) -> None:
        with Path(self.path).open("a") as file:
            file.write(f"{trainer.current_epoch}\n")  # type: ignore[attr-defined]


class Unvalidated(Probe):
    """A probe whose validation part is empty."""

    def load(self) -> Splits:
        train, _, test = super().load()
        assert isinstance(train, FixedSequences)
        return Splits(train, FixedSequences(train.x[:0], train.y[:0]), test)


class Untold(GRUBlock):
    """A block that does not say what it computes."""

    def parts(self, trail: Trail, x: str) -> str:
        raise NotImplementedError("Untold has no record")


def test_a_block_that_tells_nothing_is_trained_and_tested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, f"--model.block={__name__}.Untold", name="run") == 0
    told = capsys.readouterr().out
    assert "no firing rates, energies and speed: Untold has no record" in told
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["test_accuracy"] >= 0
    assert (results["firing_rates"], results["steps_per_second"]) == ({}, None)
    assert "energy" not in results


def test_callbacks_and_loggers_stand_beside_the_runs_own(tmp_path: Path) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_text(
        RECIPE.replace("trainer: {max_epochs: 2, accelerator: cpu}", "")
        + f"""
trainer:
  max_epochs: 5
  accelerator: cpu
  callbacks:
    - class_path: {__name__}.Note
      init_args: {{path: {tmp_path}/note}}
    - class_path: lightning.pytorch.callbacks.EarlyStopping
      init_args: {{monitor: val/loss, stopping_threshold: 100.0}}
  logger:
    class_path: lightning.pytorch.loggers.CSVLogger
    init_args: {{save_dir: {tmp_path}/theirs}}
"""
    )
    assert main(["train", str(recipe), f"--runs={tmp_path}", "--name=run"]) == 0
    # Below the threshold at once: one epoch of five.
    assert (tmp_path / "note").read_text() == "0\n"
    (theirs,) = (tmp_path / "theirs").rglob("metrics.csv")
    for file in (theirs, tmp_path / "run" / "metrics.csv"):
        with file.open(newline="") as lines:
            assert any(row["val/loss"] for row in csv.DictReader(lines)), file
    # The run's configuration names them, so that a test of the run finds them again.
    assert main(["test", str(tmp_path / "run")]) == 0
    assert (tmp_path / "note").read_text() == "0\n"


def test_what_lightning_gives_is_said_in_one_line(tmp_path: Path) -> None:
    """As docs/training.md says it: accumulated gradients, an early stop, averaged weights."""
    steps = ("--trainer.accumulate_grad_batches=2", "--trainer.max_epochs=1")
    assert train(tmp_path, *steps, name="accumulated") == 0
    assert read_checkpoint(tmp_path / "accumulated/checkpoints/last.ckpt")["global_step"] == 1
    stop = ("--trainer.callbacks=EarlyStopping", "--trainer.callbacks.monitor=val/loss")
    limit = ("--trainer.callbacks.stopping_threshold=100", "--trainer.max_epochs=5")
    assert train(tmp_path, *stop, *limit, name="early") == 0
    assert read_checkpoint(tmp_path / "early/checkpoints/last.ckpt")["epoch"] == 0


@pytest.mark.skipif(not hasattr(callbacks, "EMAWeightAveraging"), reason="since Lightning 2.6")
def test_the_averaged_weights_are_kept_and_tested(tmp_path: Path) -> None:
    ema = ("--trainer.callbacks=EMAWeightAveraging", "--trainer.callbacks.decay=0.5")
    assert train(tmp_path, *ema, name="whole") == 0
    stored = read_checkpoint(tmp_path / "whole/checkpoints/last.ckpt")
    name = "model.head.linear.weight"
    assert not torch.equal(stored["state_dict"][name], stored["current_model_state"][name])
    assert torch.equal(
        load(tmp_path / "whole/checkpoints/last.ckpt").state_dict()[name],
        stored["state_dict"][name],
    )
    assert train(tmp_path, *ema, "--trainer.max_epochs=1") == 0
    assert main(["train", "--resume", str(tmp_path / "run"), "--trainer.max_epochs=2"]) == 0


def test_an_empty_validation_part_keeps_the_last_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, f"--data={__name__}.Unvalidated") == 0
    assert json.loads((tmp_path / "run" / "results.json").read_text())["best_epoch"] == 2
    assert "val loss" not in capsys.readouterr().out
