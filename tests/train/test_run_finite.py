"""A number that is not finite ends a training, in one line with its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from run_support import small_recipe, start, train

from spikescan.data import Probe, SequenceBatch, Splits
from spikescan.data.memory import Sequences
from spikescan.tasks import Classification

pytestmark = pytest.mark.usefixtures("no_pictures")

NAN, INF = float("nan"), float("inf")


class Changed(Sequences):
    """Sequences whose batches are changed on their way, as by an augmentation."""

    def __init__(self, own: Sequences, change: Callable[[SequenceBatch, int], Any]) -> None:
        super().__init__(own.y, own.lengths)
        self.own, self.change = own, change

    def batch(self, rows: torch.Tensor, epoch: int) -> SequenceBatch:
        batch = self.own.batch(rows, epoch)
        self.change(batch, epoch)
        return batch


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change what the data of a part give."""
    load = Probe.load

    def use(part: str, change: Callable[[SequenceBatch, int], Any]) -> None:
        def spoiled(self: Probe) -> Splits:
            splits = load(self)
            return splits._replace(**{part: Changed(getattr(splits, part), change)})

        monkeypatch.setattr(Probe, "load", spoiled)

    return use


def stopped(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert train(folder, *options) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for file in ("results.json", "report.html"):
        assert not (folder / "run" / file).exists()
    return said.removeprefix("spikescan: ").rstrip()


@pytest.mark.parametrize("bad", [NAN, INF])
def test_input(bad: float, spoil: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(batch: SequenceBatch, epoch: int) -> None:
        batch.x[3, 7, 0] = bad

    spoil("train", change)
    said = stopped(tmp_path, capsys)
    assert said == (
        f"stopped in epoch 1, batch 0, item 3: the input x is {bad} at step 7, channel 0"
    )
    assert not (tmp_path / "run").exists()


def test_input_in_a_later_epoch_leaves_the_checkpoints(
    spoil: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(batch: SequenceBatch, epoch: int) -> None:
        if epoch == 1:
            batch.x[5, 0, 0] = NAN

    spoil("train", change)
    said = stopped(tmp_path, capsys)
    folder = tmp_path / "run" / "checkpoints"
    assert said == (
        "stopped in epoch 2, batch 0, item 5: the input x is nan at step 0, channel 0; "
        f"the checkpoints before it stay in {folder}"
    )
    for file in (folder / "best.ckpt", folder / "last.ckpt"):
        kept = torch.load(file, weights_only=True)
        assert kept["epoch"] == 0
        assert all(x.isfinite().all() for x in kept["state_dict"].values())


def test_padding_may_hold_anything(spoil: Any, tmp_path: Path) -> None:
    def change(batch: SequenceBatch, epoch: int) -> None:
        assert batch.lengths is not None
        batch.x[torch.arange(batch.x.shape[1]) >= batch.lengths[:, None]] = NAN

    spoil("train", change)
    assert train(tmp_path, "--data.variable=true") == 0


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("val", "stopped in epoch 1, validation batch 0"),
        ("test", "stopped in the test, test batch 0"),
    ],
)
def test_input_of_validation_and_test(
    part: str, words: str, spoil: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(batch: SequenceBatch, epoch: int) -> None:
        batch.x[2, 1, 0] = NAN

    spoil(part, change)
    said = stopped(tmp_path, capsys, "--trainer.num_sanity_val_steps=0")
    assert said.startswith(f"{words}, item 2: the input x is nan at step 1, channel 0")


def test_loss(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Classification.training_step

    def infinite(self: Classification, batch: SequenceBatch, batch_idx: int) -> torch.Tensor:
        loss = step(self, batch, batch_idx)
        return loss + INF if batch_idx == 1 else loss

    monkeypatch.setattr(Classification, "training_step", infinite)
    assert stopped(tmp_path, capsys) == "stopped in epoch 1, batch 1: the loss is inf"


def test_gradient(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Classification.training_step

    def steep(self: Classification, batch: SequenceBatch, batch_idx: int) -> torch.Tensor:
        # The root of zero has an infinite slope, and zero times that is NaN.
        return step(self, batch, batch_idx) + 0 * (0 * self.model.head.linear.weight).sum().sqrt()

    monkeypatch.setattr(Classification, "training_step", steep)
    said = stopped(tmp_path, capsys)
    assert said == "stopped in epoch 1, batch 0: the gradient of model.head.linear.weight holds nan"


def spoil_weights(task: Classification, *_: Any) -> None:
    task.model.head.linear.weight.data[0, 0] = NAN


def test_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Classification, "on_train_batch_end", spoil_weights)
    assert stopped(tmp_path, capsys) == (
        "stopped in epoch 1, batch 1: the weights model.head.linear.weight hold nan after the "
        "batch before"
    )


def test_a_checkpoint_never_holds_nan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Classification, "on_train_epoch_end", spoil_weights)
    said = stopped(tmp_path, capsys)
    assert said == "stopped in epoch 1: the weights model.head.linear.weight hold nan"
    assert not (tmp_path / "run").exists()


HALF = """\
import torch
from spikescan.data import Probe


class Half(Probe):
    def load(self):
        splits = super().load()
        splits.train.x[:, 3] = torch.where(torch.arange(len(splits.train.x))[:, None] == 7, NAN, 0)
        return splits


NAN = float("nan")
"""


def test_of_two_processes_both_stop_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "half_spoiled.py").write_text(HALF)
    two = ("--trainer.devices=2", "--trainer.strategy=ddp")
    own = "--data=half_spoiled.Half"
    process = start(small_recipe(tmp_path), tmp_path, "--name=run", own, *two)
    # The end of the pipes is the end of both.
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    lines = [line for line in said.splitlines() if "Initializing" not in line]
    line = (
        r"spikescan: stopped in epoch 1, batch 0 of process [01], item \d+: the input x is nan at "
        r"step 3, channel 0"
    )
    assert len(lines) == 1, said
    assert re.fullmatch(line, lines[0])
    assert not (tmp_path / "run").exists()
