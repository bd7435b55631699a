"""The task on the page about tasks trains as it stands, from a file in the current folder."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from spikescan.cli import main
from tasks.test_forecasting import tiny

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"


@pytest.mark.usefixtures("no_pictures")
def test_the_example_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "mean_ahead.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mean_ahead", raising=False)
    data = [option for option in tiny(tmp_path) if not option.startswith("--task")]
    options = [
        "--task=mean_ahead.MeanAhead",
        "--data.apart=false",
        "--model.features=8",
        "--trainer.max_epochs=2",
    ]
    assert main(["train", "etth1", f"--runs={tmp_path}", "--name=run", *data, *options]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    # The loss is a mean over batches by their size, and so the mean absolute error too.
    assert results["test_mae"] == pytest.approx(results["test_loss"], rel=1e-4)
