"""The figures of README and pages are those that were kept."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from spikescan.report import Quantity

ROOT = Path(__file__).parents[2]


def script():
    spec = importlib.util.spec_from_file_location("results", ROOT / "docs" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_say_what_was_measured() -> None:
    results = script()
    for page, parts in results.pages().items():
        text = page.read_text()
        assert results.write(page, text, parts) == text
        with pytest.raises(ValueError, match=rf"{page.name} must hold '<!-- {next(iter(parts))}: "):
            results.write(page, text.replace(f"<!-- end of {next(iter(parts))} -->", ""), parts)


@pytest.mark.parametrize(
    ("headline", "figures", "cells"),
    [
        (Quantity("accuracy", "higher", percent=True), (0.9876, 0.256), "accuracy 98.76 % ↑"),
        (Quantity("last_mse"), (0.43219, None), "last mse 0.4322 ↓"),
    ],
)
def test_a_kept_run_tells_its_headline_and_nothing_of_where_it_was(
    headline: Quantity,
    figures: tuple[float, float | None],
    cells: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = script()
    monkeypatch.setattr(results, "TRAININGS", tmp_path / "kept")
    environment = {"processor": "P", "threads": "2", "CPU kernels": "avx2", "torch": "2.13"}
    command = "spikescan train digits --runs /home/me/runs --name it --trainer.max_epochs 3"
    (tmp_path / "environment.json").write_text(json.dumps({"command": command, **environment}))
    figure, rate = figures
    run = {
        "headline": asdict(headline),
        f"test_{headline.name}": figure,
        "training_seconds": 60.4,
        "parameters": 1234,
        "firing_rate": rate,
    }
    (tmp_path / "results.json").write_text(json.dumps(run))
    results.keep(tmp_path)
    kept = json.loads((tmp_path / "kept" / "digits.json").read_text())
    assert kept["command"] == "spikescan train digits --trainer.max_epochs 3"
    row = results.row(kept)
    assert row.startswith("| `digits` |")
    fired = "no neurons" if rate is None else "25.6 %"
    assert f"| {cells} | 3 epochs of 12, 60 s | 1,234 | {fired} |" in row
