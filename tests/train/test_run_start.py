"""A start that is a sensible answer, and is kept where no epoch is better."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikescan.cli import main
from spikescan.report.figures import best_epoch


def walk(folder: Path, name: str, *options: str) -> dict[str, Any]:
    """Train on a random walk; what came of it."""
    steps = np.random.default_rng(1).standard_normal(600)
    path = folder / "walk.csv"
    path.write_text("v\n" + "\n".join(f"{v:.5f}" for v in 100 + np.cumsum(steps)))
    data = [f"--data.path={path}", "--data.window=32", "--data.horizon=8", "--data.train=0.7"]
    data += ["--data.val=0.1", "--data.test=0.2", "--task.season=0", "--task.relative_to=last"]
    assert main(["train", "etth1", f"--runs={folder}", f"--name={name}", *data, *options]) == 0
    return json.loads((folder / name / "results.json").read_text())


def validated(run: Path) -> list[tuple[int, float]]:
    """Epoch and error of each validation in the metrics."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val/mse"]]
    return [(int(row["epoch"]), float(row["val/mse"])) for row in rows]


def test_of_a_random_walk_no_more_is_said_than_can_be_known(
    tmp_path: Path, no_pictures: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its last value is the best forecast there is: what a network adds to it is error."""
    results = walk(tmp_path, "run", "--trainer.max_epochs=2")
    said = capsys.readouterr().out
    assert results["best_epoch"] == 0
    assert results["test_mse"] == pytest.approx(results["test_last_value_mse"], rel=1e-5)
    found = validated(tmp_path / "run")
    assert [epoch for epoch, _ in found] == [-1, 0, 1]
    assert found[0][1] == min(error for _, error in found)
    assert f"at the start  val loss {found[0][1]:.4g}" in said
    assert "no epoch was better on the validation data than the start" in said
    (record,) = no_pictures
    assert ("best epoch", "0, the start") in record.facts
    assert best_epoch(record.history, record.watched) == 0
    assert record.notes[0].startswith("no epoch was better")

    # In two sittings, the first of which ends before anything was compared with the start.
    later = "--trainer.check_val_every_n_epoch=2"
    assert walk(tmp_path, "broken", later, "--trainer.max_epochs=1")["best_epoch"] == 1
    checkpoints = tmp_path / "broken" / "checkpoints"
    assert (checkpoints / "start.ckpt").is_file()
    resume = ["train", f"--resume={tmp_path / 'broken'}", later, "--trainer.max_epochs=2"]
    assert main(resume) == 0
    again = json.loads((tmp_path / "broken" / "results.json").read_text())
    assert again["test_mse"] == results["test_mse"]
    assert again["best_epoch"] == 0
    assert [epoch for epoch, _ in validated(tmp_path / "broken")] == [-1, 1]
    assert sorted(file.name for file in checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]
    assert main(["test", str(tmp_path / "broken")]) == 0

    # Nothing else is left of it: a start is nothing to go on from.
    (checkpoints / "last.ckpt").unlink()
    assert main(resume) == 0
    assert [epoch for epoch, _ in validated(tmp_path / "broken")] == [-1, 1]


@pytest.mark.usefixtures("no_pictures")
def test_a_start_that_is_not_compared_is_not_kept(tmp_path: Path) -> None:
    for name, option in (
        ("cut short", "--trainer.max_steps=2"),
        ("another part", "--trainer.num_sanity_val_steps=1"),
    ):
        assert walk(tmp_path, name, option, "--trainer.max_epochs=1")["best_epoch"] == 1, name
