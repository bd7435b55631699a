"""A small run for the tests of training, in this process or as one of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from spikescan.cli import main

RECIPE = """\
title: "probe: which of four frequencies"
data:
  class_path: spikescan.data.Probe
  init_args: {length: 16, samples: 32, batch_size: 16}
model:
  features: 4
  depth: 1
  block:
    class_path: spikescan.models.SDTCM
    init_args:
      neuron:
        class_path: spikescan.PRF
        init_args: {theta_max: 3.0, dt_min: 0.2, dt_max: 1.0, tau: 20.0}
task: {optimizer: {lr: 0.02}}
trainer: {max_epochs: 2, accelerator: cpu}
"""


def small_recipe(folder: Path) -> str:
    path = folder / "small.yaml"
    path.write_text(RECIPE)
    return str(path)


def train(folder: Path, *options: str, name: str = "run") -> int:
    """Train the small recipe in ``folder/name``; the exit status."""
    return main(["train", small_recipe(folder), f"--runs={folder}", f"--name={name}", *options])


HERE = Path(__file__).parent


def start(recipe: str, folder: Path, *options: str, by: tuple[str, ...] = ()) -> Popen[str]:
    """Start to train a recipe in a process of its own, or by a program that starts several.

    Own classes may lie in ``folder``, where the runs go. The report has no pictures.
    """
    command = ("-m", "unpictured", "train", recipe, f"--runs={folder}")
    path = os.pathsep.join((str(HERE), str(folder), os.environ.get("PYTHONPATH", "")))
    return Popen(
        [sys.executable, *by, *command, *options],
        stdout=PIPE,
        stderr=PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def figures(run: Path) -> dict[str, Any]:
    """What a run came to, but for what a clock said."""
    results = json.loads((run / "results.json").read_text())
    assert results.pop("steps_per_second") > 0
    return results


def wait_for(file: Path, process: Popen[str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not file.is_file():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"no {file}"
        time.sleep(0.05)
