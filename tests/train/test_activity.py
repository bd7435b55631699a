"""Layers that are silent or saturated are told of, at the start and at the end of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikescan.cli import main
from spikescan.report import activity_notes

RECIPE = """\
title: "probe: which of four frequencies"
data:
  class_path: spikescan.data.Probe
  init_args: {length: 32, samples: 32, batch_size: 16, variable: true}
model:
  features: 8
  depth: 1
  block:
    class_path: spikescan.models.SDTCM
    init_args:
      neuron: {class_path: spikescan.Spatial, init_args: {threshold: THRESHOLD}}
trainer: {max_epochs: 1}
"""


def test_what_counts_as_silent_and_saturated() -> None:
    rates = {
        "lively": np.array([0.0, 0.1, 0.9]),
        "rare": np.array([0.0009, 0.0009]),
        "some": np.array([0.0, 0.0, 0.6]),
        "full": np.array([0.95, 0.88]),
        "one": 0.0,
        "none": np.zeros(2),
    }
    assert activity_notes(rates) == [
        "rare is silent: it fires in 0.09 % of its steps",
        "some is mostly silent: it fires in 20.00 % of its steps, and 2 of 3 channels never do",
        "full is saturated: it fires in 91.50 % of its steps",
        "one is silent: it fires in 0.00 % of its steps",
        "none is silent: it fires in 0.00 % of its steps, and 2 of 2 channels never do",
    ]


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        ("100.0", "is silent: it fires in 0.00 % of its steps, and 8 of 8 channels never do"),
        ("-100.0", "is saturated: it fires in 100.00 % of its steps"),
        ("0.1", None),
    ],
)
def test_a_run_says_so_at_start_and_end_and_in_its_report(
    threshold: str,
    words: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    no_pictures: list[Any],
) -> None:
    recipe = tmp_path / "probe.yaml"
    recipe.write_text(RECIPE.replace("THRESHOLD", threshold))
    assert main(["train", str(recipe), f"--runs={tmp_path}", "--name=run"]) == 0
    out, notes = capsys.readouterr().out, no_pictures[0].notes
    if words is None:
        assert "is silent" not in out
        assert not notes
        return
    for when in ("start", "end"):
        line = f"at the {when} blocks.0.temporal {words}"
        assert out.count(line) == 1
        assert notes.count(line) == 1
