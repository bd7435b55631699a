"""What bfloat16 mixed precision does to accuracy: three recipes, three seeds, in both precisions.

``python benchmarks/mixed.py`` trains them on small images (half an hour on one thread), keeps them
in ``mixed.json`` beside this file, and ``python docs/results.py`` writes them into the
documentation. Started again, it goes on after the runs that are kept.
"""

from __future__ import annotations

import json
import shlex
from itertools import product
from pathlib import Path
from typing import Any

from trained import results_of, trained

KEPT = Path(__file__).with_suffix(".json")
RECIPES = ("digits", "digits_dsn", "digits_pspikessm")
PRECISIONS = ("32", "bf16-mixed")
SEEDS = (0, 1, 2)
COMMAND = "train {} --data.size 16 --trainer.max_epochs 6 --seed {} --trainer.precision {}"


def measured(recipe: str, seed: int, precision: str) -> dict[str, Any]:
    """One run: its command, and what came of it on the test data."""
    command = COMMAND.format(recipe, seed, precision)
    with trained(shlex.split(command)) as run:
        results = results_of(run)
    return {
        "command": f"spikescan {command}",
        "recipe": recipe,
        "seed": seed,
        "precision": precision,
        "accuracy": results["test_accuracy"],
        "loss": results["test_loss"],
        "training_seconds": results["training_seconds"],
    }


if __name__ == "__main__":
    rows = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else []
    done = {(row["recipe"], row["seed"], row["precision"]) for row in rows}
    for seed, recipe, precision in product(SEEDS, RECIPES, PRECISIONS):
        if (recipe, seed, precision) not in done:
            rows.append(measured(recipe, seed, precision))
            KEPT.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
