"""Every shipped recipe trains a few steps, on tiny generated data in place of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from spikescan.cli import main
from spikescan.recipes import recipes, title

TINY = [
    "--data=spikescan.data.Probe",
    "--data.samples=48",
    "--data.length=64",
    "--data.batch_size=16",
    "--data.variable=true",
    "--model.features=8",
    "--trainer.max_epochs=2",
]


@pytest.mark.parametrize("name", recipes())
def test_recipe_trains(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", name, f"--runs={tmp_path}", "--name=run", *TINY]) == 0
    run = tmp_path / "run"
    out = capsys.readouterr().out
    assert "epoch 2/2" in out
    assert str(run / "report.html") in out
    for file in ("config.yaml", "metrics.csv", "results.json", "environment.json", "report.html"):
        assert (run / file).stat().st_size > 0, file
    assert (run / "checkpoints" / "best.ckpt").is_file()
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    assert resolved["model"]["features"] == 8
    assert resolved["data"]["class_path"].endswith("Probe")


@pytest.mark.parametrize("name", recipes())
def test_recipe_says_what_it_is(name: str) -> None:
    assert title(recipes()[name]).startswith(f"{name}: ")
