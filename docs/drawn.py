"""Pictures of what runs kept: how they learned, accuracy against firing, longer texts."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from spikescan.report.style import BLUE, INK, MUTED, ORANGE, PURPLE, VERMILION, headline, styled
from spikescan.train.tables import Group

INCHES = 7.2
COLOURS = (BLUE, VERMILION, ORANGE, PURPLE, INK)
MARKS = "osDv^"


@styled
def curves(runs: dict[str, list[Path]]) -> Figure:
    """A panel a recipe: its headline on training and validation data, epoch by epoch, of each kept
    run (the files of its curves)."""
    columns = 3
    rows = -(-len(runs) // columns)
    figure = Figure((INCHES, 1.75 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for (recipe, files), axes in zip(runs.items(), panels, strict=False):
        for file, colour in zip(files, COLOURS, strict=False):
            with file.open(encoding="utf-8", newline="") as opened:
                told = list(csv.DictReader(opened))
            of_validation = list(told[0])[-1]
            of_training = of_validation.replace("val/", "train/")
            epochs = [int(row["epoch"]) for row in told]
            for name, style in ((of_training, ":"), (of_validation, "-")):
                if name in told[0]:  # no return is earned in training
                    values = [float(row[name] or "nan") for row in told]
                    axes.plot(epochs, values, style, color=colour)
        axes.set_title(recipe, fontsize=8.5)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes in list(panels):
        axes.remove()
    return figure


@styled
def firing(found: dict[str, list[Group]]) -> Figure:
    """A line a network: the mean over seeds of accuracy against firing, as it is asked to fire
    less."""
    figure = Figure((INCHES, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for (name, groups), colour, mark in zip(found.items(), COLOURS, MARKS, strict=False):
        rates, scores = (
            [[100 * v for v in group.values(key)] for group in groups]
            for key in ("firing_rate", "test_accuracy")
        )
        axes.errorbar(
            [mean(r) for r in rates],
            [mean(s) for s in scores],
            [stdev(s) if len(s) > 1 else 0 for s in scores],
            marker=mark, ms=5, lw=1.4, elinewidth=0.8, color=colour, label=name,
        )  # fmt: skip
    axes.set_xscale("log")
    ticks = (1, 2, 5, 10, 20, 40)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick} %" for tick in ticks])
    axes.set_xlabel("share of neurons and steps that fire, test data")
    axes.set_ylabel("test accuracy, %", color=MUTED)
    axes.legend(loc="lower right")
    detail = "small digits; the rightmost point of a line without a target for firing"
    headline(axes, "Accuracy against firing", detail, inches=INCHES)
    return figure


@styled
def lengths(runs: list[dict[str, Any]]) -> Figure:
    """A line a network: its loss on the same text, read in stretches of each length."""
    figure = Figure((INCHES, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for run, colour, mark in zip(runs, COLOURS, MARKS, strict=False):
        sizes = [point["length"] for point in run["points"]]
        values = [point["value"] for point in run["points"]]
        axes.plot(sizes, values, marker=mark, color=colour, label=run["name"])
    axes.set_xscale("log", base=2)
    sizes = sorted({point["length"] for run in runs for point in run["points"]})
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.set_xticklabels([f"{size:,}" for size in sizes])
    axes.set_xlabel("tokens of a stretch of text, read from rest")
    axes.set_ylabel(runs[0]["unit"], color=MUTED)
    axes.legend(loc="best")
    trained = " and ".join(f"{n:,}" for n in sorted({run["trained_length"] for run in runs}))
    headline(axes, "Longer texts", f"trained at {trained} tokens", inches=INCHES)
    return figure
