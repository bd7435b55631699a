"""Which decay should DSN neurons start with? Train the digits recipe from each and tell.

``python benchmarks/dsn_start.py OUT.json`` trains ``digits_dsn`` for every start and seed below and
keeps test accuracies and firing rates as they come; a second call goes on where the first stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table
from trained import results_of, trained

STARTS = (0.0625, 0.5, 0.8, 0.9, 0.97)
"""1/16 is what a bias of zero gives."""
SEEDS = (0, 1)


def train(start: float, seed: int) -> dict[str, float]:
    options = [f"--model.block.neuron.alpha_start={start}", f"--seed={seed}"]
    with trained(["train", "digits_dsn", *options]) as run:
        results = results_of(run)
    return {"accuracy": results["test_accuracy"], "firing": results["firing_rate"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    kept = json.loads(out.read_text()) if out.exists() else {}
    for seed in SEEDS:
        for start in STARTS:
            name = f"start {start}, seed {seed}"
            if name not in kept:
                kept[name] = train(start, seed)
                out.write_text(json.dumps(kept, indent=2) + "\n")
    table = Table("decay at the start", "test accuracy, each seed", "mean", "firing rate")
    for start in STARTS:
        runs = [kept[f"start {start}, seed {seed}"] for seed in SEEDS]
        accuracies = [run["accuracy"] for run in runs]
        table.add_row(
            f"{start}",
            ", ".join(f"{a:.2%}" for a in accuracies),
            f"{statistics.mean(accuracies):.2%}",
            f"{statistics.mean(run['firing'] for run in runs):.1%}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
