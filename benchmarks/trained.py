"""A training of which nothing stays but what a script reads from it."""

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


def results_of(run: Path) -> dict[str, Any]:
    """What came of it."""
    return json.loads((run / "results.json").read_text(encoding="utf-8"))
