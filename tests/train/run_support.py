"""A small run for the tests of training, in this process or as one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

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


def start(folder: Path, *options: str, **environment: str | Path) -> subprocess.Popen[str]:
    """Start to train the small recipe in a process of its own."""
    command = ("-m", "spikescan", "train", small_recipe(folder), f"--runs={folder}")
    return subprocess.Popen(
        [sys.executable, *command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
    )


def wait_for(file: Path, process: subprocess.Popen[str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not file.is_file():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"no {file}"
        time.sleep(0.05)
