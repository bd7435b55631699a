"""What a classification adds to the page of a run: which class was taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from .record import Array, Section
from .style import FAINT, INK, SHADES, WIDE, headline, shorten, styled

__all__ = ["confusion_matrix", "confusion_section", "verdict"]

_CAPTION = """A row is a true class, and its cells say what the network took it for: right answers
lie on the diagonal. The shade is the share of the row, on a square-root scale that lets rare errors
be seen. A grey row had no examples."""


def confusion_section(counts: Array, names: Sequence[str] | None = None) -> Section:
    """Make the section that shows the answers to the test data.

    Args:
        counts: (C, C) integer counts, rows true, columns predicted.
        names: C class names; the class numbers if None or empty.

    Raises:
        ValueError: counts are not square, are negative, or names are not C.
    """
    right, worst = verdict(counts, names)
    return Section(
        heading="Right and wrong answers",
        draw=partial(confusion_matrix, counts, names),
        alt=f"Confusion matrix of {len(counts)} classes. {right}. {worst}",
        caption=_CAPTION,
    )


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
