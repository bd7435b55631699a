"""The one look of all pictures: palette, text sizes, titles, and how a figure becomes bytes."""

from __future__ import annotations

import io
import re
import struct
import textwrap
import zlib
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

INK, MUTED, FAINT, GRID = "#1f2933", "#5b6673", "#c3c9d1", "#e8ebef"
# Okabe and Ito's palette: told apart with every common kind of colour blindness.
BLUE, ORANGE, VERMILION, PURPLE = "#0072b2", "#e69f00", "#d55e00", "#aa4d86"
SHADES = LinearSegmentedColormap.from_list(
    "spikescan", ["#ffffff", "#cfe3f1", "#7fb4d8", "#2f7fb6", "#0a4f85", "#06294a"]
)

WIDE, NARROW = 9.6, 3.6
"""Widths in inches of the two renderings in the page: for a screen and for a phone."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # shipped with matplotlib: the same picture on every machine
    "font.size": 9,
    "text.color": INK,
    "text.usetex": False,
    "text.parse_math": False,  # a class may have a dollar sign in its name
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#9aa4b0",
    "axes.linewidth": 0.8,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": "#9aa4b0",
    "ytick.color": "#9aa4b0",
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "path",
    "svg.hashsalt": "spikescan",  # the same run gives the same bytes
}

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function under `STYLE`, leaving the caller's settings alone."""

    @wraps(draw)
    def run(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            # Ticks are made when first drawn: do it here, or they would take the caller's settings.
            FigureCanvasAgg(figure)
            figure.draw_without_rendering()
            # The layout stands now; finding it again at each rendering is half the work.
            figure.set_layout_engine("none")
            return figure

    return run


def headline(axes: Axes, text: str, detail: str = "", *, inches: float) -> None:
    """Write what is seen above a picture: a bold line and a lighter one, wrapped to fit."""
    wrapped = textwrap.fill(detail, max(20, int(inches * 14.5)))
    lines = wrapped.count("\n") + 1 if detail else 0
    axes.set_title(textwrap.fill(text, max(16, int(inches * 11))), pad=6 + 12.5 * lines)
    if detail:
        axes.annotate(
            wrapped,
            (0, 1),
            (0, 5),
            xycoords="axes fraction",
            textcoords="offset points",
            color=MUTED,
            fontsize=8.5,
            linespacing=1.25,
            va="bottom",
            annotation_clip=False,
        )


def shorten(name: str, limit: int) -> str:
    """Make a name fit: ``model.blocks.0.neuron`` becomes ``m.b.0.neuron``, then cut the middle.

    Layers differ in a number in the middle of their names, which must survive.
    """
    parts = name.split(".")
    for i, part in enumerate(parts[:-1]):
        if len(".".join(parts)) <= limit:
            break
        parts[i] = part if part.isdigit() else part[:1]
    name, tail = ".".join(parts), limit // 2
    return name if len(name) <= limit else name[: limit - tail - 1] + "…" + name[-tail:]


def to_svg(figure: Figure) -> bytes:
    """Render as SVG without XML prologue and metadata, so that it names no outside resource."""
    buffer = io.BytesIO()
    unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata=unsaid)
    svg = buffer.getvalue()
    svg = re.sub(rb"<metadata>.*?</metadata>\s*", b"", svg, flags=re.DOTALL)
    return svg[svg.index(b"<svg") :]


def to_png(figure: Figure, dpi: float) -> bytes:
    """Render as PNG with a palette, at a resolution in dots per inch.

    A picture of few colours, as ours are, takes a third of the bytes of matplotlib's own PNG.
    """
    before = figure.dpi
    with matplotlib.rc_context(STYLE):
        figure.dpi = dpi
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.array(canvas.buffer_rgba())[..., :3]
        figure.dpi = before
    height, width, _ = pixels.shape
    # Blended edges have too many colours for a palette: join those that differ in low bits only.
    # Two bits a channel are 64 colours, so one of the rounds ends the loop.
    low_bits, first, index = -1, np.empty(257, np.int64), np.empty(0, np.int64)
    while len(first) > 256:
        low_bits += 1
        red, green, blue = np.moveaxis((pixels >> low_bits).astype(np.int64), 2, 0)
        _, first, index = np.unique(
            (red << 16 | green << 8 | blue).ravel(), return_index=True, return_inverse=True
        )
    palette = pixels.reshape(-1, 3)[first]
    rows = np.pad(index.reshape(height, width).astype(np.uint8), ((0, 0), (1, 0)))  # filter 0
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", palette.tobytes()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
