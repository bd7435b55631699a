"""What it costs to fire less: two recipes with and without a target for their firing.

``python benchmarks/firing.py`` trains the rows below (four minutes and a quarter of an hour on two
cores), keeps them in ``firing.json`` beside this file, and ``python docs/results.py`` writes them
into the documentation. Started again, it goes on after the runs that are kept.
"""

from __future__ import annotations

import json
import shlex
from itertools import product
from pathlib import Path

from trained import results_of, trained

KEPT = Path(__file__).with_suffix(".json")
COMMANDS = (
    "train digits --data.size 16 --model.features 64 --trainer.max_epochs 12",
    "train spoken_digits --trainer.precision bf16-mixed --trainer.max_epochs 12",
)
RATES = (None, 0.3, 0.1, 0.05, 0.02)


def measured(command: str) -> dict[str, float]:
    """What came of a run on the test data."""
    with trained(shlex.split(command)) as run:
        results = results_of(run)
    return {
        "firing_rate": results["firing_rate"],
        "accuracy": results["test_accuracy"],
        "energy": results["energy"]["estimates"]["full"]["computing"],
        "steps_per_second": results["steps_per_second"],
    }


if __name__ == "__main__":
    rows = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else []
    done = {row["command"] for row in rows}
    for start, rate in product(COMMANDS, RATES):
        command = start if rate is None else f"{start} --task.firing.rate {rate}"
        if f"spikescan {command}" not in done:
            rows.append({"command": f"spikescan {command}", "rate": rate, **measured(command)})
            KEPT.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
