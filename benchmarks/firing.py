"""What it costs to fire less: two recipes with and without a target for their firing.

``python benchmarks/firing.py RUNS`` trains the rows below (four minutes and a quarter of an hour on
two cores) into the folder RUNS, leaves out what is there already, then tests them one after the
other, so that their speeds are of one time, and keeps what came in ``firing.json`` beside this
file, from which ``python docs/results.py`` writes the documentation.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

from trained import results_of, train_into

KEPT = Path(__file__).with_suffix(".json")
COMMANDS = (
    "digits --data.size 16 --model.features 64 --trainer.max_epochs 12",
    "spoken_digits --trainer.precision bf16-mixed --trainer.max_epochs 12",
)
RATES = (None, 0.3, 0.1, 0.05, 0.02)


def tested(run: Path) -> dict[str, float]:
    """What comes of a run on the test data, and how fast it is now."""
    subprocess.run([sys.executable, "-m", "spikescan", "test", str(run)], check=True)
    results = results_of(run)
    return {
        "firing_rate": results["firing_rate"],
        "accuracy": results["test_accuracy"],
        "energy": results["energy"]["estimates"]["full"]["computing"],
        "steps_per_second": results["steps_per_second"],
    }


def main(runs: Path) -> None:
    rows: list[dict[str, Any]] = []
    places: list[Path] = []
    for start, rate in product(COMMANDS, RATES):
        command = start if rate is None else f"{start} --task.firing.rate {rate}"
        places.append(runs / f"{start.split()[0]}-{rate}")
        rows.append({"command": f"spikescan train {command}", "rate": rate})
        train_into(places[-1], shlex.split(command))
    for row, run in zip(rows, places, strict=True):
        row.update(tested(run))
    KEPT.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
