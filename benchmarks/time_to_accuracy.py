"""Seconds against validation accuracy in both precisions: permuted sequential MNIST.

``python benchmarks/time_to_accuracy.py`` trains three epochs in each (a quarter of an hour on two
threads), keeps them in ``time_to_accuracy.json`` beside this file and draws
``docs/img/time-to-accuracy.svg``. Options are handed on to ``spikescan train psmnist``, to try it
on less: ``--trainer.limit_train_batches 2 --trainer.limit_val_batches 1``.
"""

from __future__ import annotations

import csv
import json
import shlex
import sys
from datetime import date
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from trained import results_of, trained

from spikescan.report.style import BLUE, MUTED, ORANGE, headline, styled, to_svg

KEPT = Path(__file__).with_suffix(".json")
PICTURE = Path(__file__).parents[1] / "docs" / "img" / "time-to-accuracy.svg"
EPOCHS = 3
PRECISIONS = {"32": ("float32", BLUE), "bf16-mixed": ("bf16-mixed", ORANGE)}


def measured(precision: str, options: list[str]) -> dict[str, Any]:
    """One run: seconds and validation accuracy after each epoch.

    Epochs are the same work, and so the same share of the time.
    """
    command = f"train psmnist --trainer.max_epochs {EPOCHS} --trainer.precision {precision}"
    words = [*shlex.split(command), *options]
    with trained(words) as run:
        results = results_of(run)
        machine = json.loads((run / "environment.json").read_text(encoding="utf-8"))
        with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
            logged = [row["val/accuracy"] for row in csv.DictReader(file) if row["val/accuracy"]]
    accuracies = [float(value) for value in logged][-EPOCHS:]
    share = results["training_seconds"] / EPOCHS
    return {
        "command": shlex.join(["spikescan", *words]),
        "precision": precision,
        "seconds": [share * (epoch + 1) for epoch in range(EPOCHS)],
        "accuracy": accuracies,
        "test_accuracy": results["test_accuracy"],
        "date": date.today().isoformat(),
        **{name: machine[name] for name in ("processor", "threads", "torch", "commit")},
    }


@styled
def drawn(rows: list[dict[str, Any]]) -> Figure:
    figure = Figure((7.2, 3.8), layout="constrained")
    axes = figure.add_subplot()
    for row in rows:
        name, colour = PRECISIONS[row["precision"]]
        percent = [100 * accuracy for accuracy in row["accuracy"]]
        axes.plot(row["seconds"], percent, "o-", color=colour)
        axes.annotate(
            f"{name}, {percent[-1]:.1f} %", (row["seconds"][-1], percent[-1]), (7, -3),
            textcoords="offset points", color=colour,
        )  # fmt: skip
    axes.set_xlim(0, 1.3 * max(row["seconds"][-1] for row in rows))  # room for the names
    axes.set_xlabel(f"seconds of training, {rows[0]['threads']} threads, {rows[0]['processor']}")
    axes.set_ylabel("validation accuracy, %", color=MUTED)
    detail = f"permuted sequential MNIST, {EPOCHS} epochs each"
    headline(axes, "Time to accuracy", detail, inches=7.2)
    return figure


if __name__ == "__main__":
    rows = [measured(precision, sys.argv[1:]) for precision in PRECISIONS]
    KEPT.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    PICTURE.write_bytes(to_svg(drawn(rows)))
