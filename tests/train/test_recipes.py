"""Every shipped recipe trains a few steps, on tiny generated data in place of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from data.kinds import tiny
from spikescan.cli import main
from spikescan.recipes import recipes, title

SHORT = ["--model.features=8", "--trainer.max_epochs=2"]


@pytest.mark.parametrize("name", recipes())
def test_recipe_trains(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPIKESCAN_CACHE", str(tmp_path / "cache"))
    data = tiny(recipes()[name], tmp_path)
    assert main(["train", name, f"--runs={tmp_path}", "--name=run", *SHORT, *data]) == 0
    run = tmp_path / "run"
    out = capsys.readouterr().out
    assert "epoch 2/2" in out
    assert str(run / "report.html") in out
    for file in ("config.yaml", "metrics.csv", "results.json", "environment.json", "report.html"):
        assert (run / file).stat().st_size > 0, file
    assert (run / "checkpoints" / "best.ckpt").is_file()
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    assert resolved["model"]["features"] == 8
    own = yaml.safe_load(recipes()[name].read_text())["data"]["class_path"]
    said = [option.removeprefix("--data=") for option in data if option.startswith("--data=")]
    assert resolved["data"]["class_path"] == (said or [own])[0]


@pytest.mark.parametrize("name", recipes())
def test_recipe_says_what_it_is(name: str) -> None:
    assert title(recipes()[name]).startswith(f"{name}: ")
