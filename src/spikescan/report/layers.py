"""Pictures of the layers: how often their channels fire, and what their neurons learned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from .record import Array
from .style import BLUE, FAINT, INK, MUTED, PURPLE, VERMILION, WIDE, headline, shorten, styled

__all__ = ["SATURATED", "firing_rates", "time_constants"]

SATURATED = 0.99
"""A channel with at least this firing rate carries next to no information, and counts as stuck."""

_QUANTITIES = {"frequency": "cycles per step", "time constant": "steps"}


@styled
def firing_rates(rates: Mapping[str, float | Array], *, width: float = WIDE) -> Figure:
    """Draw the firing rates of the channels of each layer: every channel, quartiles, mean.

    The axis follows the square root: it shows low rates apart, and zero.

    Args:
        rates: layer name -> share of steps with a spike, (D,) in [0, 1] or a float, in order.
        width: width of the figure, in inches.

    Raises:
        ValueError: no layers, a layer that is not (D,), or rates outside [0, 1] or not finite.
    """
    if not rates:
        raise ValueError("rates: got no layers, expected at least one")
    layers = {name: _rates(values, f"rates[{name!r}]") for name, values in rates.items()}
    height = 0.62 * len(layers) + 0.95
    figure = Figure((width, height), layout="constrained")
    axes = figure.subplots()
    top = max(0.01, 1.04 * max(values.max() for values in layers.values()))
    for row, (name, values) in enumerate(layers.items()):
        _rate_row(axes, row, name, values, width, is_scalar=np.ndim(rates[name]) == 0)
    axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    axes.set_xlim(0, top)
    ticks: list[float] = []
    for tick in (0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1):
        if tick <= top and (
            not ticks or np.sqrt(tick / top) - np.sqrt(ticks[-1] / top) > 0.55 / width
        ):
            ticks.append(tick)
    axes.set_xticks(ticks, [f"{100 * tick:g}%" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(len(layers) - 0.56, -0.72)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("firing rate (share of steps with a spike; square-root axis)")
    marks = {
        "channel": Line2D([], [], color=BLUE, marker="o", ms=4, ls="none", alpha=0.6),
        "middle half": Patch(color=BLUE, alpha=0.18, lw=0),
        "mean": Line2D([], [], color=INK, marker="|", ms=11, mew=2.2, ls="none"),
        "silent": Line2D([], [], color=VERMILION, marker="o", ms=5, mfc="white", ls="none"),
        "saturated": Line2D([], [], color=PURPLE, marker="s", ms=5, mfc="white", ls="none"),
    }
    figure.legend(
        list(marks.values()),
        list(marks),
        loc="outside upper left",
        ncols=5 if width >= 6.5 else 3,
        handletextpad=0.4,
        columnspacing=1.4,
    )
    return figure


def _rates(values: float | Array, name: str) -> Array:
    rates = np.asarray(values, dtype=float)
    if rates.ndim > 1 or rates.size == 0:
        raise ValueError(f"{name}: got shape {rates.shape}, expected (D,) with D >= 1, or a float")
    if not (np.all(rates >= 0) and np.all(rates <= 1)):
        raise ValueError(
            f"{name}: got {rates.min():g} to {rates.max():g}, expected rates in [0, 1]"
        )
    return np.atleast_1d(rates)


def _rate_row(
    axes: Axes, row: int, name: str, values: Array, inches: float, *, is_scalar: bool
) -> None:
    text = f"mean {values.mean():.1%}"
    if not is_scalar:
        silent, stuck = values == 0, values >= SATURATED
        # The golden ratio spreads neighbours in rate evenly, and the same way in every report.
        offset = np.empty(values.size)
        offset[np.argsort(values)] = np.arange(values.size) * 0.618034 % 1 * 0.4 - 0.12
        y = row + offset
        usual = ~silent & ~stuck
        axes.fill_betweenx(
            [row - 0.16, row + 0.32],
            *np.quantile(values, [0.25, 0.75]),
            color=BLUE,
            alpha=0.18,
            lw=0,
            zorder=2,
        )
        axes.plot(
            values[usual], y[usual], "o", ms=3.2, mec="none", color=BLUE, alpha=0.55, zorder=3
        )
        zeros = axes.plot(
            values[silent], y[silent], "o", ms=4, mfc="white", color=VERMILION, zorder=4
        )
        # Seen in full, though half outside; an empty line would take the layout to the corner.
        zeros[0].set(clip_on=False, in_layout=False)
        axes.plot(values[stuck], y[stuck], "s", ms=4, mfc="white", color=PURPLE, zorder=4)
        if inches >= 4:  # A phone has room for the names alone; the table below says it too.
            text += f"  ·  silent {silent.mean():.1%}  ·  saturated {stuck.mean():.1%}"
    axes.plot(2 * [values.mean()], [row - 0.2, row + 0.36], color=INK, lw=2.2, zorder=5)
    place = axes.get_yaxis_transform()
    limit = int(3.2 * inches)
    axes.text(0, row - 0.27, shorten(name, limit), transform=place, weight="bold", va="bottom")
    axes.text(
        1, row - 0.27, text, transform=place, ha="right", va="bottom", color=MUTED, fontsize=8.5
    )


@styled
def time_constants(neurons: Mapping[str, Mapping[str, Array]], *, width: float = WIDE) -> Figure:
    """Draw learned frequencies and time constants of each layer, with their start values in grey.

    A layer with both is drawn as frequency against time constant; one with only one of them as its
    sorted values. Values that are not finite (a channel without decay) are left out and counted.

    Args:
        neurons: layer name -> (D,) arrays "frequency" (cycles per step), "time constant" (steps),
            and both with "initial " in front; other names are ignored.
        width: width of the figure, in inches; four layers stand side by side, two below 6.5,
            one below 4.

    Raises:
        ValueError: no layer has a frequency or time constant, or arrays of a layer differ in shape.
    """
    layers = {name: _parameters(values, name) for name, values in neurons.items()}
    layers = {name: values for name, values in layers.items() if _QUANTITIES.keys() & values.keys()}
    if not layers:
        raise ValueError(
            f"neurons: got layers {list(neurons)} without 'frequency' or 'time constant',"
            " expected at least one of them in one layer"
        )
    columns = min(len(layers), 4 if width >= 6.5 else 2 if width >= 4 else 1)
    rows = -(-len(layers) // columns)
    share = len({frozenset(_QUANTITIES.keys() & v.keys()) for v in layers.values()}) == 1
    figure = Figure((width, 2.75 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)
    logs = {quantity: _is_wide(layers.values(), quantity) for quantity in _QUANTITIES}
    for axes, (name, values) in zip(grid.flat, layers.items(), strict=False):
        _neuron(axes, name, values, logs, width / columns)
    for axes in grid.flat[len(layers) :]:
        axes.remove()
    if share:
        for index, axes in enumerate(grid.flat[: len(layers)]):
            is_lowest = index + columns >= len(layers)  # also above a gap in the last row
            axes.tick_params(labelbottom=is_lowest)
            axes.set_xlabel(axes.get_xlabel() if is_lowest else "")
            axes.set_ylabel("" if index % columns else axes.get_ylabel())
    for axes, values in zip(grid.flat, layers.values(), strict=False):
        if _QUANTITIES.keys() <= values.keys():
            left, right = axes.get_xlim()
            x = np.linspace(right / 500, right, 500)
            x = np.geomspace(left, right, 2) if axes.get_xscale() == "log" else x
            # Now that all points have set the limits: this line must not widen them.
            axes.plot(
                x, 1 / x, color=MUTED, lw=1, ls=(0, (2, 2)), zorder=1, scalex=False, scaley=False
            )
    marks = {
        "learned": Line2D([], [], color=BLUE, marker="o", ms=5, ls="none", alpha=0.8),
        "at the start": Line2D([], [], color=FAINT, marker="o", ms=5, ls="none"),
    }
    if any(_QUANTITIES.keys() <= values.keys() for values in layers.values()):
        marks["one cycle per time constant"] = Line2D([], [], color=MUTED, lw=1, ls=(0, (2, 2)))
    figure.legend(
        list(marks.values()),
        list(marks),
        loc="outside upper left",
        ncols=3 if width >= 4 else 2,
        handletextpad=0.4,
        columnspacing=1.4,
    )
    return figure


def _parameters(values: Mapping[str, Array], layer: str) -> dict[str, Array]:
    wanted = [prefix + quantity for quantity in _QUANTITIES for prefix in ("", "initial ")]
    arrays = {name: np.asarray(values[name], dtype=float) for name in wanted if name in values}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise ValueError(f"neurons[{layer!r}]: got shapes {shapes}, expected one (D,) for all")
    return arrays


def _is_wide(layers: Iterable[Mapping[str, Array]], quantity: str) -> bool:
    """Tell whether a quantity is positive in all layers and spreads over more than tenfold."""
    names = (quantity, f"initial {quantity}")
    arrays = [layer[name] for layer in layers for name in names if name in layer]
    values = np.concatenate([*arrays, np.empty(0)])
    values = values[np.isfinite(values)]
    return bool(values.size > 0 and values.min() > 0 and values.max() > 10 * values.min())


def _neuron(
    axes: Axes, name: str, values: Mapping[str, Array], logs: Mapping[str, bool], inches: float
) -> None:
    shown = [quantity for quantity in _QUANTITIES if quantity in values]
    size = len(values[shown[0]])
    if len(shown) == 2:
        x, y = shown
        now = np.stack([values[x], values[y]], axis=1)
        starts = [values.get(f"initial {q}", np.full(size, np.nan)) for q in shown]
        axes.set(xlabel=f"{x} ({_QUANTITIES[x]})", ylabel=f"{y} ({_QUANTITIES[y]})")
        if logs[x]:
            axes.set_xscale("log")
            _plain_numbers(axes.xaxis)
    else:
        (y,) = shown
        now = np.stack([np.arange(size) + 1.0, np.sort(values[y])], axis=1)
        starts = [now[:, 0], np.sort(values.get(f"initial {y}", np.full(size, np.nan)))]
        axes.set(xlabel="channel, sorted", ylabel=f"{y} ({_QUANTITIES[y]})")
    if logs[y]:
        axes.set_yscale("log")
        _plain_numbers(axes.yaxis)
    start = np.stack(starts, axis=1)
    # Infinite points would break the limits of the axes; the count below says they exist.
    finite = np.isfinite(now).all(axis=1)
    paths = np.stack([start, now], axis=1)
    paths = paths[np.isfinite(paths).all(axis=(1, 2))]
    if len(shown) == 2:
        # One line with gaps: a path of its own for each channel would make the SVG twice as large.
        gaps = np.pad(paths, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan).reshape(-1, 2)
        axes.plot(*gaps.T, color=FAINT, lw=0.6, alpha=0.7, zorder=1)
    axes.plot(*start.T, "o", ms=3, mec="none", color=FAINT, zorder=2)
    axes.plot(*now[finite].T, "o", ms=3.6, mec="none", color=BLUE, alpha=0.7, zorder=3)
    missing = size - int(finite.sum())
    detail = f"{missing} of {size} channels not finite" if missing else f"{size} channels"
    headline(axes, shorten(name, int(7 * inches)), detail, inches=inches)


def _plain_numbers(axis: Axis) -> None:
    # Matplotlib's own powers of ten need the parsing of formulas, which is off.
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
