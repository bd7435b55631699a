"""Trainings of scripts: one of which nothing stays, and one that goes on where it stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def trained(words: Sequence[str]) -> Iterator[Path]:
    """Run ``spikescan`` with these words, a training; the run's folder, as long as it is read."""
    with tempfile.TemporaryDirectory() as runs:
        kept = ["--runs", runs, "--name", "run", "--progress", "false"]
        subprocess.run([sys.executable, "-m", "spikescan", *words, *kept], check=True)
        yield Path(runs, "run")


def train_into(run: Path, words: Sequence[str]) -> None:
    """Run ``spikescan train`` with these words into a folder, or what is left of it, if any."""
    if (run / "results.json").is_file():
        return
    if (run / "config.yaml").is_file():
        words = ["--resume", str(run)]
    places = ["--runs", str(run.parent), "--name", run.name, "--progress", "false"]
    command = [sys.executable, "-m", "spikescan", "train", *words, *places]
    # Their own classes are found in the folder one stands in.
    subprocess.run(command, cwd=Path(__file__).parent, check=True)


def results_of(run: Path) -> dict[str, Any]:
    """What came of it."""
    return json.loads((run / "results.json").read_text(encoding="utf-8"))
