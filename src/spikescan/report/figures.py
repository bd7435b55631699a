"""One function for each picture of a run, from recorded values to a matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter

from .layers import firing_rates, time_constants
from .record import Array, History
from .spikes import raster
from .style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SHADES,
    WIDE,
    headline,
    shorten,
    styled,
)

__all__ = [
    "best_epoch",
    "confusion_matrix",
    "curves",
    "firing_rates",
    "raster",
    "time_constants",
    "verdict",
]

_PHASES = {"train": ("training", ORANGE), "val": ("validation", BLUE), "test": ("test", INK)}


def best_epoch(history: History) -> int | None:
    """Find the epoch of the lowest validation loss, or else of the highest validation accuracy.

    Args:
        history: series by metric name and phase.

    Returns:
        The epoch (the first of several equal ones), or None without finite validation values.

    Raises:
        ValueError: epochs and values are not two equal (N,) arrays.
    """
    for metric, sign in (("loss", 1.0), ("accuracy", -1.0)):
        pair = history.get(metric, {}).get("val", (np.empty(0), np.empty(0)))
        epochs, values = _series(*pair, f"history[{metric!r}]['val']")
        finite = np.isfinite(values)
        if finite.any():
            return int(epochs[finite][np.argmin(sign * values[finite])])
    return None


@styled
def curves(history: History, *, width: float = WIDE) -> Figure:
    """Draw each metric over the epochs, a panel a metric, with the best epoch marked.

    Args:
        history: series by metric name and phase; loss and accuracy come first, then the others.
        width: width of the figure, in inches; panels stand in one column below 6.5.

    Raises:
        ValueError: no series, or epochs and values of a series that are not two equal (N,) arrays.
    """
    series = {
        metric: {p: _series(e, v, f"history[{metric!r}][{p!r}]") for p, (e, v) in phases.items()}
        for metric, phases in history.items()
    }
    names = sorted((m for m in series if series[m]), key=lambda m: (m != "loss", m != "accuracy"))
    if not names:
        raise ValueError("history: got no series, expected at least one metric with one phase")
    columns = 1 if width < 6.5 or len(names) == 1 else 2
    rows = -(-len(names) // columns)
    figure = Figure((width, 2.9 * rows + 0.1), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    best = best_epoch(history)
    for axes, metric in zip(grid.flat, names, strict=False):
        _curve(axes, metric, series[metric], best, width / columns)
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
    metric: str,
    phases: Mapping[str, tuple[Array, Array]],
    best: int | None,
    inches: float,
) -> None:
    everything = np.concatenate([values for _, values in phases.values()])
    finite = everything[np.isfinite(everything)]
    percent = metric == "accuracy" and finite.size > 0 and finite.max() <= 1
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
    name = metric[:1].upper() + metric[1:].replace("_", " ")
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
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    elif finite.min() > 0 and finite.max() > 30 * finite.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.set_ylabel(metric.replace("_", " "))
    axes.legend(loc="best")
    epochs, values = phases.get("val", (np.empty(0), np.empty(0)))
    at = np.flatnonzero((epochs == best) & np.isfinite(values))
    if best is not None and at.size:
        value = float(values[at[0]])
        axes.axvline(best, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=1)
        axes.plot(best, value, "o", ms=8, mfc="white", mec=BLUE, mew=2, zorder=5)
        shown = f"{value:.1%}" if percent else f"{value:.3g}"
        headline(axes, f"{name}: {shown} at the best epoch, {best}", inches=inches)
    else:
        headline(axes, name, inches=inches)


@styled
def confusion_matrix(
    counts: Array, names: Sequence[str] | None = None, *, width: float = WIDE
) -> Figure:
    """Draw which class was taken for which: shade by share of the row, counts up to 20 classes.

    The colour scale follows the square root, so that a few errors in a hundred can be seen.

    Args:
        counts: (C, C) integer counts, rows true, columns predicted.
        names: C class names; the class numbers if None or empty.
        width: greatest width of the figure, in inches.

    Raises:
        ValueError: counts are not square, are negative, or names are not C.
    """
    counts, names = _confusion(counts, names)
    size = len(counts)
    totals = counts.sum(axis=1, keepdims=True)
    # A class without examples has no shares; masked, it is drawn grey rather than as all wrong.
    shares = np.ma.masked_invalid(
        np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    )
    is_narrow = width < 6.5
    side = min(width, max(4.4, 2.3 + 0.36 * size), 8.2)
    cell = 72 * (side - (1.0 if is_narrow else 1.6)) / size  # points
    figure = Figure((side, side + (0.35 if is_narrow else -0.4)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap=SHADES.with_extremes(bad=FAINT), norm=PowerNorm(0.5, 0, 1))
    axes.grid(False)
    axes.spines[:].set_visible(False)
    if size <= 20:
        _write_counts(axes, counts, shares, cell)
    every = int(np.ceil(6.5 / cell))
    ticks = np.arange(0, size, every)
    labels = [shorten(names[i], 16) for i in ticks]
    fontsize = min(8.5, max(5, 0.8 * cell * every))
    is_upright = max(map(len, labels)) * fontsize * 0.65 < cell * every
    axes.set_xticks(ticks, labels, fontsize=fontsize, rotation=0 if is_upright else 90)
    axes.set_yticks(ticks, labels, fontsize=fontsize)
    axes.tick_params(length=0)
    axes.set(xlabel="predicted class", ylabel="true class")
    bar = figure.colorbar(
        image,
        ax=axes,
        location="bottom" if is_narrow else "right",
        shrink=0.8 if is_narrow else 0.6,
        aspect=28,
        pad=0.02,
        ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 1],
        format=PercentFormatter(1, decimals=0),
        label="share of the true class",
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    headline(axes, *verdict(counts, names), inches=side - (0.8 if is_narrow else 1.2))
    return figure


def _confusion(counts: Array, names: Sequence[str] | None) -> tuple[Array, list[str]]:
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.size == 0:
        raise ValueError(f"counts: got shape {counts.shape}, expected (C, C) with C >= 1")
    if counts.dtype.kind not in "iu" or counts.min() < 0:
        raise ValueError(
            f"counts: got {counts.dtype} from {counts.min()}, expected integer counts >= 0"
        )
    size = len(counts)
    names = [str(i) for i in range(size)] if not names else list(names)
    if len(names) != size:
        raise ValueError(f"names: got {len(names)}, expected {size}, one for each row of counts")
    return counts, names


def _write_counts(axes: Axes, counts: Array, shares: Array, cell: float) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        text = str(counts[row, column])
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.3 else INK,
            fontsize=min(9, 1.5 * cell / max(3, len(text))),
        )


def verdict(counts: Array, names: Sequence[str] | None = None) -> tuple[str, str]:
    """Say in a line how many answers are right, and in another which error is most frequent.

    Args:
        counts: (C, C) integer counts, rows true, columns predicted.
        names: C class names; the class numbers if None or empty.

    Raises:
        ValueError: counts are not square, are negative, or names are not C.
    """
    counts, names = _confusion(counts, names)
    total, right = int(counts.sum()), int(np.trace(counts))
    if total == 0:
        return "No examples were counted", ""
    errors = counts - np.diag(np.diag(counts))
    row, column = divmod(int(errors.argmax()), len(errors))
    true, predicted = shorten(names[row], 24), shorten(names[column], 24)
    worst = f"Most frequent error: {true} taken for {predicted} ({errors.max():,} times)"
    title = f"{right:,} of {total:,} right ({right / total:.1%})"
    return title, worst if errors.any() else "No errors"
