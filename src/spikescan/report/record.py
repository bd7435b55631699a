"""What a training run leaves for its report, as plain values; the reader of its metrics file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spikescan.energy import Account

__all__ = [
    "LOSS",
    "History",
    "Passage",
    "Quantity",
    "RasterRecord",
    "RunRecord",
    "Section",
    "read_history",
]

Array: TypeAlias = NDArray[Any]
History: TypeAlias = Mapping[str, Mapping[str, tuple[Array, Array]]]
"""Series by metric name and phase: ``history["loss"]["val"] == (epochs (N,), values (N,))``."""


@dataclass(frozen=True)
class Quantity:
    """Something that is measured during training and testing.

    Args:
        name: as in ``metrics.csv`` after the phase, and in ``results.json`` after ``test_``.
        better: whether a higher or a lower value is better.
        percent: written as a percentage; otherwise with four digits.

    >>> Quantity("accuracy", "higher", percent=True).text(0.98765)
    '98.77 %'
    """

    name: str
    better: Literal["higher", "lower"] = "lower"
    percent: bool = False

    @property
    def words(self) -> str:
        """The name for people."""
        return self.name.replace("_", " ")

    def text(self, value: float) -> str:
        """Write a value."""
        return f"{100 * value:.2f} %" if self.percent else f"{value:#.4g}"


LOSS = Quantity("loss")
"""What every task has: the function that training lowers."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Section:
    """A section of the page with one picture.

    Args:
        heading: of the section.
        draw: makes the picture when given its ``width`` in inches as a keyword.
        alt: what the picture shows, for those who cannot see it.
        caption: how to read it.
        is_image: too many marks to be read one by one: always inlined as PNG.
        table: rows of the same numbers in words under the picture, the first of them the heading.
    """

    heading: str
    draw: Callable[..., Figure]
    alt: str
    caption: str
    is_image: bool = False
    table: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Passage:
    """A section of the page with a text.

    Args:
        heading: of the section.
        before: what the text goes on from, shown pale.
        text: the text; its lines stay as they are.
        caption: how to read it.
    """

    heading: str
    before: str
    text: str
    caption: str


@dataclass(frozen=True, eq=False, kw_only=True)
class RasterRecord:
    """One sequence on its way through the network.

    Args:
        input: (T, Din) real; what the network was given.
        spikes: layer name -> (T, D) spikes, bool, integer or real, not negative, in network order.
        words: what the network made of it, in a few words.

    Raises:
        ValueError: a shape does not fit, T is 0, values are not finite, or spikes are negative.
    """

    input: Array
    spikes: Mapping[str, Array]
    words: str

    def __post_init__(self) -> None:
        shape = np.shape(self.input)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"input: got shape {shape}, expected (T, Din) with T, Din >= 1")
        if not np.all(np.isfinite(self.input)):
            raise ValueError("input: got NaN or infinite values, expected finite ones")
        for layer, spikes in self.spikes.items():
            got = np.shape(spikes)
            if len(got) != 2 or got[0] != shape[0] or got[1] == 0:
                raise ValueError(
                    f"spikes[{layer!r}]: got shape {got}, expected (T, D) with T = {shape[0]}"
                    " as in input, and D >= 1"
                )
            values = np.asarray(spikes)
            if not np.all(np.isfinite(values)) or values.min() < 0:
                raise ValueError(
                    f"spikes[{layer!r}]: got values that are negative or not finite,"
                    " expected spike counts >= 0"
                )


@dataclass(frozen=True, eq=False, kw_only=True)
class RunRecord:
    """Everything the page of a run shows; a piece left out is left out of the page.

    Args:
        title: headline of the page.
        recipe: name of the recipe that was trained.
        summary: the run in a line, under the headline.
        facts: headline facts as (name, value), shown as tiles.
        notes: what the reader should know of first, a sentence each, shown under the tiles.
        environment: machine, versions, command as (name, value), shown as a table.
        commands: command lines that make such a run again, with what each does.
        config: the resolved configuration (YAML), shown collapsed.
        history: series by metric name and phase, see `History`; epochs count from 1, the
            start, where it counts, is 0.
        quantities: how the metrics of the history are written, in the order of their panels.
        watched: the quantity whose best validation value marks the epoch that is kept.
        sections: what the task adds, shown after the learning curves.
        rates: layer name -> mean firing rate of each channel, (D,) in [0, 1], or of the whole
            layer, a float; in network order. The rate is the share of steps with a spike.
        raster: one sequence and the spikes it caused.
        energy: what the network costs.
        impulses: layer name -> (D, J) answers of its neurons to an impulse, J steps.
        neurons: layer name -> learned parameters, each (D,): "frequency" (cycles per step) and
            "time constant" (steps), and the same with "initial " in front for the start values.
    """

    title: str
    recipe: str
    summary: str = ""
    facts: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    environment: Sequence[tuple[str, str]] = ()
    commands: Sequence[tuple[str, str]] = ()
    config: str = ""
    history: History = field(default_factory=dict[str, dict[str, tuple[Array, Array]]])
    quantities: Sequence[Quantity] = ()
    watched: Quantity = LOSS
    sections: Sequence[Section | Passage] = ()
    rates: Mapping[str, float | Array] = field(default_factory=dict[str, Array])
    raster: RasterRecord | None = None
    energy: Account | None = None
    impulses: Mapping[str, Array] = field(default_factory=dict[str, Array])
    neurons: Mapping[str, Mapping[str, Array]] = field(default_factory=dict[str, dict[str, Array]])


def read_history(metrics_csv: Path) -> dict[str, dict[str, tuple[Array, Array]]]:
    """Read the series of a run from the ``metrics.csv`` of Lightning's ``CSVLogger``.

    Columns are named ``phase/metric``; others are ignored, and so are empty cells (the logger
    writes the phases to rows of their own). Several values of one epoch (logged by step) are
    averaged. Of Lightning's ``_step`` and ``_epoch`` twins of a metric the ``_epoch`` one is taken.

    Args:
        metrics_csv: path of the file.

    Returns:
        metric -> phase -> (epochs (N,) int64 ascending from 1, or from the start, 0; values (N,)
        float64, NaN kept).

    Raises:
        ValueError: there is no ``epoch`` column, or a cell is not a number.
    """
    cells: dict[str, dict[int, list[float]]] = {}
    with Path(metrics_csv).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or ()
        if "epoch" not in columns:
            raise ValueError(
                f"metrics_csv: got columns {list(columns)}, expected one named 'epoch'"
            )
        tracked = [c for c in columns if "/" in c and not _has_epoch_twin(c, columns)]
        for row in reader:
            # Rows without an epoch come from callbacks such as the learning-rate monitor. A cell is
            # None, not empty, in a last line that was cut off when the run was killed.
            if not row["epoch"]:
                continue
            # Lightning counts from 0, people from 1.
            epoch = int(_number(row["epoch"], "epoch", reader.line_num)) + 1
            for column in tracked:
                if row[column]:
                    value = _number(row[column], column, reader.line_num)
                    cells.setdefault(column, {}).setdefault(epoch, []).append(value)

    history: dict[str, dict[str, tuple[Array, Array]]] = {}
    for column, by_epoch in cells.items():
        phase, _, metric = column.partition("/")
        epochs = sorted(by_epoch)
        values = [sum(by_epoch[epoch]) / len(by_epoch[epoch]) for epoch in epochs]
        name = metric.removesuffix("_epoch").removesuffix("_step")
        history.setdefault(name, {})[phase] = (np.array(epochs), np.array(values))
    return history


def _has_epoch_twin(column: str, columns: Sequence[str]) -> bool:
    return column.endswith("_step") and column.removesuffix("_step") + "_epoch" in columns


def _number(cell: str, column: str, line: int) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ValueError(
            f"metrics_csv: got {cell!r} in column {column!r}, line {line}, expected a number"
        ) from None
