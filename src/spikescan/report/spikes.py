"""The picture of one sequence: the input, and the spikes of each layer under it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from .record import Array, RasterRecord
from .style import INK, MUTED, SHADES, VERMILION, WIDE, headline, shorten, styled

__all__ = ["RASTER_DPI", "raster"]

RASTER_DPI = 180
"""Resolution, in dots per inch, the raster is drawn for: a spike is never thinner than a dot."""


@styled
def raster(record: RasterRecord, *, width: float = WIDE) -> Figure:
    """Draw the input and, under it on the same time axis, the spikes of each layer.

    Steps (and channels) that are finer than a dot of the picture are summed, never dropped. Under
    each layer a line shows the share of its channels that fire, averaged over T / 100 steps.

    Args:
        record: the input and the spikes of one sequence.
        width: width of the figure, in inches.
    """
    values = np.asarray(record.input, dtype=float)
    steps, channels = values.shape
    ratios = [0.8 if channels == 1 else _height(channels)]
    for spikes in record.spikes.values():
        ratios += [_height(np.shape(spikes)[1]), 0.3]
    figure = Figure((width, sum(ratios) + 0.28 * len(record.spikes) + 1.1), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.025, hspace=0, rect=(0, 0, 1, 0.993))  # pyright: ignore
    grid = figure.subplots(len(ratios), 1, squeeze=False, sharex=True, height_ratios=ratios)[:, 0]
    headline(grid[0], f"One sequence of {steps:,} steps: {record.words}", inches=width - 0.7)
    dots = int(0.88 * width * RASTER_DPI)
    _input(grid[0], values, dots)
    for (layer, spikes), panel, line in zip(
        record.spikes.items(), grid[1::2], grid[2::2], strict=True
    ):
        spikes = np.asarray(spikes, dtype=float)
        _spikes(panel, spikes, dots, shorten(layer, 40 if width >= 6.5 else 16))
        _rate(line, spikes)
    grid[0].set_xlim(0, steps)
    grid[-1].set_xlabel("step")
    grid[-1].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    figure.align_ylabels(grid)
    return figure


def _height(channels: int) -> float:
    return float(np.clip(channels / 128 * 1.05, 0.5, 1.6))


def _pool(values: Array, axis: int, dots: int) -> tuple[Array, int]:
    """Sum neighbours so that at most `dots` remain; also returns the neighbours in a sum."""
    size = values.shape[axis]
    factor = -(-size // dots)
    return np.add.reduceat(values, np.arange(0, size, factor), axis=axis), factor


def _image(axes: Axes, values: Array, dots: int) -> tuple[Array, tuple[float, float, float, float]]:
    """Reduce (T, D) to what the panel can show: the picture (rows, columns) and its extent."""
    pooled, steps = _pool(values, 0, dots)
    height = _height(values.shape[1])
    pooled, channels = _pool(pooled, 1, int(height * RASTER_DPI))
    extent = (0.0, float(pooled.shape[0] * steps), float(pooled.shape[1] * channels), 0.0)
    axes.set_ylim(values.shape[1], 0)
    axes.grid(False)
    return pooled.T, extent


def _input(axes: Axes, values: Array, dots: int) -> None:
    if values.shape[1] == 1:
        axes.plot(np.arange(len(values)) + 0.5, values[:, 0], color=INK, lw=0.8, rasterized=True)
        axes.set_ylabel("input")
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.margins(y=0.08)
    else:
        image, extent = _image(axes, values, dots)
        counts, _ = _image(axes, np.ones_like(values), dots)
        image = image / counts
        top = float(np.abs(image).max()) or 1.0
        if values.min() < 0:
            look = {"cmap": "RdBu_r", "vmin": -top, "vmax": top}
        else:
            # Events are rare: a mean over a few steps would be too pale on a linear scale.
            gamma = 0.5 if np.mean(values > 0) < 0.1 else 1.0
            look = {"cmap": "gray_r", "norm": PowerNorm(gamma, 0, top)}
        axes.imshow(image, aspect="auto", interpolation="nearest", extent=extent, **look)
        axes.set_ylabel("input\nchannel")
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.tick_params(labelbottom=False)


def _spikes(axes: Axes, spikes: Array, dots: int, layer: str) -> None:
    image, extent = _image(axes, spikes, dots)
    fired = image[image > 0]
    # One burst must not pale all single spikes: the darkest 0.5 % of the dots share a shade.
    darkest = float(np.quantile(fired, 0.995)) if fired.size else 1.0
    axes.imshow(
        image,
        aspect="auto",
        interpolation="nearest",
        extent=extent,
        cmap=SHADES,
        norm=PowerNorm(0.5, 0, darkest, clip=True),
    )
    axes.set_ylabel("channel")
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.spines[["top", "right"]].set_visible(True)
    axes.tick_params(labelbottom=False, bottom=False)
    detail = f"{np.mean(spikes > 0):.1%} firing" if fired.size else "no spikes"
    if spikes.max() > 1:
        detail += f", up to {spikes.max():g} a step"
    axes.set_title(layer, fontsize=9, pad=3)
    axes.set_title(detail, fontsize=8.5, pad=3, loc="right", color=MUTED, weight="normal")


def _rate(axes: Axes, spikes: Array) -> None:
    share = np.mean(spikes > 0, axis=1)
    window = max(1, len(share) // 100)
    kernel = np.ones(window)
    smooth = np.convolve(share, kernel, "same") / np.convolve(np.ones(len(share)), kernel, "same")
    time = np.arange(len(share)) + 0.5
    axes.fill_between(time, smooth, color=VERMILION, alpha=0.15, lw=0, rasterized=True)
    axes.plot(time, smooth, color=VERMILION, lw=0.9, rasterized=True)
    top = max(float(smooth.max()) * 1.15, 1e-3)
    axes.set_ylim(0, top)
    axes.set_yticks([0, top / 1.15])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if top > 0.05 else 1))
    axes.grid(False)
    axes.tick_params(axis="y", labelsize=7, labelcolor=VERMILION)
