"""Two hundred steps of the recipes that want a GPU: does the loss fall, how long is an epoch?

``python benchmarks/trials.py RUNS`` trains all of them into the folder RUNS (some ten minutes each
on one core), leaves out what is there already, and keeps what came in ``trials.json`` beside this
file. Batches and data are smaller than the recipes', networks and learning rates are theirs.
"""

from __future__ import annotations

import csv
import json
import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

from trained import results_of, train_into

KEPT = Path(__file__).with_suffix(".json")
STEPS = "--trainer.limit_train_batches 20 --trainer.max_epochs 10"
"""The loss is told ten times."""
TESTED = "--trainer.limit_val_batches 2 --trainer.limit_test_batches 2"


class Trial(NamedTuple):
    options: str
    batch: int
    sequences: int
    """Training sequences of the whole task."""


TRIALS = {
    "listops": Trial("--data.samples 4000 --data.held_out 200", 16, 96_000),
    "imdb": Trial("", 16, 22_500),
    "lra_image": Trial("--data.subset true", 10, 45_000),
    "lra_pathfinder": Trial("--data.samples 4000 --data.held_out 200", 20, 160_000),
    "lra_pathx": Trial("--data.samples 400 --data.held_out 20", 2, 160_000),
    "scifar": Trial("--data.subset true", 10, 45_000),
    "speech_commands_10": Trial("--data.part true", 16, 30_769),
}


def measured(recipe: str, runs: Path) -> dict[str, Any]:
    options, batch, sequences = TRIALS[recipe]
    words = shlex.split(f"{recipe} {options} --data.batch_size {batch} {STEPS} {TESTED}")
    run = runs / recipe
    train_into(run, words)
    results = results_of(run)
    machine = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    return {
        "command": shlex.join(["spikescan", "train", *words]),
        "parameters": results["parameters"],
        "losses": losses,
        "epoch_seconds": results["training_seconds"] / (200 * batch) * sequences,
        **{name: machine[name] for name in ("processor", "threads", "torch")},
    }


if __name__ == "__main__":
    rows = [measured(recipe, Path(sys.argv[1]).absolute()) for recipe in TRIALS]
    KEPT.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
