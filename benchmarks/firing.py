"""What it costs to fire less: the digits recipe, small, with and without a target for its firing.

``python benchmarks/firing.py`` trains the rows below (four minutes on two cores), keeps them in
``firing.json`` beside this file, and ``python docs/results.py`` writes them into the documentation.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = "train digits --data.size 16 --model.features 64 --trainer.max_epochs 12"
RATES = (None, 0.3, 0.1, 0.05, 0.02)


def trained(rate: float | None, runs: str) -> dict[str, float | str | None]:
    """One run: its command, the rate asked for, and what came of it on the test data."""
    command = COMMAND if rate is None else f"{COMMAND} --task.firing.rate {rate}"
    name = f"rate-{rate}"
    words = [*shlex.split(command), "--runs", runs, "--name", name, "--progress", "false"]
    subprocess.run([sys.executable, "-m", "spikescan", *words], check=True)
    results = json.loads(Path(runs, name, "results.json").read_text(encoding="utf-8"))
    told = {
        "firing_rate": results["firing_rate"],
        "accuracy": results["test_accuracy"],
        "energy": results["energy"]["estimates"]["full"]["computing"],
        "steps_per_second": results["steps_per_second"],
    }
    return {"command": f"spikescan {command}", "rate": rate, **told}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as runs:
        rows = [trained(rate, runs) for rate in RATES]
    Path(__file__).with_suffix(".json").write_text(
        json.dumps(rows, indent=2) + "\n", encoding="utf-8"
    )
