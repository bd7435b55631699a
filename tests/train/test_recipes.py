"""Every shipped recipe trains a few steps, on tiny generated data in place of its own."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from spikescan.cli import main
from spikescan.recipes import recipes, title

SHORT = ["--model.features=8", "--trainer.max_epochs=2"]


def tiny(name: str, folder: Path) -> list[str]:
    """Options for generated data, as the tests of the recipe's task make them."""
    task = yaml.safe_load(recipes()[name].read_text())["task"]
    where, _, kind = task.get("class_path", "spikescan.tasks.Classification").rpartition(".")
    module = getattr(import_module(where), kind).__module__.rpartition(".")[2]
    return import_module(f"tasks.test_{module}").tiny(folder)


@pytest.mark.parametrize("name", recipes())
def test_recipe_trains(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tiny(name, tmp_path)
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
    assert f"--data={resolved['data']['class_path']}" in data


@pytest.mark.parametrize("name", recipes())
def test_recipe_says_what_it_is(name: str) -> None:
    assert title(recipes()[name]).startswith(f"{name}: ")
