"""One function for each picture of a run, from recorded values to a matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter

from .layers import firing_rates, time_constants
from .record import LOSS, Array, History, Quantity
from .spikes import raster
from .style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    WIDE,
    headline,
    styled,
)

__all__ = [
    "best_epoch",
    "curves",
    "firing_rates",
    "raster",
    "time_constants",
]

_PHASES = {"train": ("training", ORANGE), "val": ("validation", BLUE), "test": ("test", INK)}


def best_epoch(history: History, watched: Quantity = LOSS) -> int | None:
    """Find the epoch at which a quantity was best on the validation data.

    Args:
        history: series by metric name and phase.
        watched: the quantity that decides.

    Returns:
        The epoch (the first of several equal ones), or None without finite validation values.

    Raises:
        ValueError: epochs and values are not two equal (N,) arrays.
    """
    pair = history.get(watched.name, {}).get("val", (np.empty(0), np.empty(0)))
    epochs, values = _series(*pair, f"history[{watched.name!r}]['val']")
    finite = np.isfinite(values)
    if not finite.any():
        return None
    sign = 1 if watched.better == "lower" else -1
    return int(epochs[finite][np.argmin(sign * values[finite])])


@styled
def curves(
    history: History,
    *,
    quantities: Sequence[Quantity] = (),
    watched: Quantity = LOSS,
    width: float = WIDE,
) -> Figure:
    """Draw each metric over the epochs, a panel a metric, with the best epoch marked.

    Args:
        history: series by metric name and phase.
        quantities: how metrics are written, in the order in which they are drawn after the loss;
            others follow.
        watched: the quantity that decides which epoch is best.
        width: width of the figure, in inches; panels stand in one column below 6.5.

    Raises:
        ValueError: no series, or epochs and values of a series that are not two equal (N,) arrays.
    """
    series = {
        metric: {p: _series(e, v, f"history[{metric!r}][{p!r}]") for p, (e, v) in phases.items()}
        for metric, phases in history.items()
    }
    known = {quantity.name: quantity for quantity in (LOSS, *quantities)}
    names = [name for name in dict.fromkeys([*known, *series]) if series.get(name)]
    if not names:
        raise ValueError("history: got no series, expected at least one metric with one phase")
    columns = 1 if width < 6.5 or len(names) == 1 else 2
    rows = -(-len(names) // columns)
    figure = Figure((width, 2.9 * rows + 0.1), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    best = best_epoch(history, watched)
    for axes, name in zip(grid.flat, names, strict=False):
        _curve(axes, known.get(name, Quantity(name)), series[name], best, width / columns - 0.6)
    for axes in grid.flat[len(names) :]:
        axes.remove()
    return figure


def _series(epochs: Array, values: Array, name: str) -> tuple[Array, Array]:
    epochs, values = np.asarray(epochs), np.asarray(values, dtype=float)
    if epochs.ndim != 1 or epochs.shape != values.shape:
        raise ValueError(
            f"{name}: got epochs {epochs.shape} and values {values.shape}, expected two equal (N,)"
        )
    return epochs, values


def _curve(
    axes: Axes,
    quantity: Quantity,
    phases: Mapping[str, tuple[Array, Array]],
    best: int | None,
    inches: float,
) -> None:
    everything = np.concatenate([values for _, values in phases.values()])
    finite = everything[np.isfinite(everything)]
    for phase, (epochs, values) in phases.items():
        label, colour = _PHASES.get(phase, (phase, PURPLE))
        label += "" if np.isfinite(values).any() else " (no finite value)"
        if phase == "test" and values.size:
            # Measured once, after training: a level to compare with, not a point in time.
            axes.axhline(values[-1], label=label, color=colour, lw=1.1, ls=(0, (5, 3)), zorder=2)
        else:
            # Without dots a single epoch, or one between two NaN, would not be seen.
            axes.plot(epochs, values, "o-", ms=3, label=label, color=colour, lw=1.7, zorder=3)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    name = quantity.words[:1].upper() + quantity.words[1:]
    if finite.size == 0:
        headline(axes, f"{name}: no finite value was recorded", inches=inches)
        axes.text(
            0.5,
            0.5,
            "NaN or infinite throughout",
            transform=axes.transAxes,
            ha="center",
            color=MUTED,
        )
        axes.set_yticks([])
        return
    if quantity.percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    elif finite.min() > 0 and finite.max() > 30 * finite.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.set_ylabel(quantity.words)
    axes.legend(loc="best")
    epochs, values = phases.get("val", (np.empty(0), np.empty(0)))
    at = np.flatnonzero((epochs == best) & np.isfinite(values))
    if best is not None and at.size:
        value = float(values[at[0]])
        axes.axvline(best, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=1)
        axes.plot(best, value, "o", ms=8, mfc="white", mec=BLUE, mew=2, zorder=5)
        shown = f"{value:.1%}" if quantity.percent else f"{value:.3g}"
        headline(axes, f"{name}: {shown} at the best epoch, {best}", inches=inches)
    else:
        headline(axes, name, inches=inches)
