"""The picture of what neurons remember: their answers to an impulse."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .record import Array
from .style import FAINT, INK, SHADES, WIDE, headline, shorten, styled

__all__ = ["impulse_responses"]

_SHOWN = 5
"""Channels drawn in colour, spread evenly from the quickest to the slowest."""


@styled
def impulse_responses(impulses: Mapping[str, Array], *, width: float = WIDE) -> Figure:
    """Draw the answers of each layer's neurons to an impulse, each scaled to a height of one.

    Five channels from the quickest to the slowest are drawn in colour; grey is the range of all.

    Args:
        impulses: layer name -> (D, J), what is left of an impulse after j = 0 .. J - 1 steps.
        width: width of the figure, in inches; two layers stand side by side, or one below 6.5.

    Raises:
        ValueError: no layers, a layer that is not (D, J), or values that are not finite.
    """
    if not impulses:
        raise ValueError("impulses: got no layers, expected at least one")
    layers = {name: _scaled(values, f"impulses[{name!r}]") for name, values in impulses.items()}
    columns = 1 if width < 6.5 or len(layers) == 1 else 2
    rows = -(-len(layers) // columns)
    figure = Figure((width, 2.0 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (name, values) in zip(grid.flat, layers.items(), strict=False):
        steps = np.arange(values.shape[1])
        axes.fill_between(steps, values.min(0), values.max(0), color=FAINT, alpha=0.45, lw=0)
        # A channel is slow whose answer is spread over many steps.
        spread = np.abs(values).sum(1) / np.maximum(np.abs(values).max(1), 1e-30)
        order = np.argsort(spread)
        picked = order[np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).round().astype(int)]
        for at, channel in enumerate(picked):
            colour = SHADES(0.35 + 0.6 * at / max(1, len(picked) - 1))
            axes.plot(steps, values[channel], color=colour, lw=1.3, zorder=3)
        axes.axhline(0, color=INK, lw=0.6, zorder=1)
        axes.set_xlim(0, max(1, values.shape[1] - 1))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(3))
        inches = width / columns
        headline(axes, shorten(name, int(7 * inches)), inches=inches)
    for axes in grid.flat[len(layers) :]:
        axes.remove()
    for axes in grid[-1]:
        if axes.figure is not None:
            axes.set_xlabel("steps after the impulse")
    return figure


def _scaled(values: Array, name: str) -> Array:
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"{name}: got shape {values.shape}, expected (D, J) with D, J >= 1")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name}: got NaN or infinite values, expected finite ones")
    largest = np.abs(values).max(1, keepdims=True)
    return values / np.where(largest > 0, largest, 1)
