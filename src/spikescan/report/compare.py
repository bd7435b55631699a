"""Runs side by side: their figures, curves and energies on one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from .energy import energy_axis, joules
from .html import document, section, table, write_page
from .record import LOSS, History, Quantity, Section
from .style import BLUE, FAINT, INK, MUTED, ORANGE, PURPLE, VERMILION, WIDE, headline, styled

__all__ = ["RunFacts", "compare_curves", "compare_energies", "compared", "write_comparison"]

_COLOURS = (BLUE, ORANGE, VERMILION, PURPLE, INK, MUTED)
_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)))
_ACCOUNTS = {
    "papers": "papers",
    "full": "full count",
    "dense_int8": "dense int8",
}
"""Accounts that a comparison shows, in words."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RunFacts:
    """What is compared of a run.

    Args:
        name: by which it is told from the others.
        title: what it was trained on.
        headline: its main quantity.
        value: what that is on the test data.
        parameters: their number.
        firing_rate: mean of all channels; None without neurons.
        training_seconds: None where it is not known.
        best_epoch: the one that was tested.
        energies: joules a sequence, (computing, with memory) by account; empty where not estimated.
        history: series by metric name and phase.
    """

    name: str
    title: str
    headline: Quantity
    value: float
    parameters: int
    firing_rate: float | None
    training_seconds: float | None
    best_epoch: int
    energies: Mapping[str, tuple[float, float]]
    history: History


def compared(runs: Sequence[RunFacts]) -> list[tuple[str, ...]]:
    """The figures of runs in words, a row a run, the first row the heading."""
    words = {f"test {run.headline.words}" for run in runs}
    one = words.pop() if len(words) == 1 else "test"
    rows: list[tuple[str, ...]] = [
        ("run", one, "parameters", "fires", "energy", "with memory", "training")
    ]
    for run in runs:
        value = run.headline.text(run.value)
        computing, total = run.energies.get("full", (None, None))
        rows.append(
            (
                run.name,
                value if one != "test" else f"{run.headline.words} {value}",
                f"{run.parameters:,}",
                "-" if run.firing_rate is None else f"{100 * run.firing_rate:.1f} %",
                "-" if computing is None else joules(computing),
                "-" if total is None else joules(total),
                "-" if not run.training_seconds else f"{run.training_seconds:.0f} s",
            )
        )
    return rows


def write_comparison(runs: Sequence[RunFacts], path: Path) -> Path:
    """Write one self-contained page that shows runs side by side.

    Args:
        runs: two or more, each with a name of its own.
        path: the file to write.

    Returns:
        path.

    Raises:
        ValueError: there are fewer than two runs, or two of one name.
    """
    names = [run.name for run in runs]
    if len(runs) < 2 or len(set(names)) < len(names):
        raise ValueError(f"runs must be two or more of different names, got {names}")
    rows = compared(runs)
    # A phone has room for four columns: the rest stands in a table of its own.
    sections = [
        f"<section>\n<h2>Results</h2>{table([row[:4] for row in rows])}"
        f"{table([(row[0], *row[4:]) for row in rows])}\n</section>"
    ]
    if any(_validated(run, quantity) for quantity in _quantities(runs) for run in runs):
        alt = "Validation curves over the epochs of " + ", ".join(names) + "."
        caption = "Validation figures by epoch; a ring marks the epoch that was tested."
        draw: Callable[..., Figure] = partial(compare_curves, runs)
        shown = Section(heading="Learning curves", draw=draw, alt=alt, caption=caption)
        sections.append(section(shown))
    if any(run.energies for run in runs):
        sections.append(section(_energies(runs)))
    titles = "".join(
        f"<p><strong>{escape(run.name)}</strong>: {escape(run.title)}</p>\n" for run in runs
    )
    heading = f"{len(runs)} runs side by side"
    return write_page(document(heading, f"<h1>{heading}</h1>\n{titles}", sections), path)


def _energies(runs: Sequence[RunFacts]) -> Section:
    shown = [run for run in runs if run.energies]
    rows = [("a sequence", *_ACCOUNTS.values())]
    for run in shown:
        rows.append((run.name, *(joules(run.energies[account][0]) for account in _ACCOUNTS)))
        memory = (run.energies[account] for account in _ACCOUNTS)
        rows.append(("with memory", *(joules(b) if b > a else "-" for a, b in memory)))
    told = (f"{run.name} {joules(run.energies['full'][0])}" for run in shown)
    return Section(
        heading="Energy, estimated",
        draw=partial(compare_energies, shown),
        alt="Bar chart of the energy of a sequence by account. Full count: " + ", ".join(told),
        caption="Blue is computing by the full count, grey its memory; a tick marks the papers' "
        "formula, a diamond the dense network of the same widths in int8, both without memory.",
        table=rows,
    )


@styled
def compare_curves(runs: Sequence[RunFacts], *, width: float = WIDE) -> Figure:
    """Draw validation curves of runs over each other, a panel a quantity.

    Args:
        runs: what is compared.
        width: width of the figure, in inches; panels stand in one column below 6.5.
    """
    quantities = [q for q in _quantities(runs) if any(_validated(run, q) for run in runs)]
    columns = 1 if width < 6.5 or len(quantities) == 1 else 2
    rows = -(-len(quantities) // columns)
    figure = Figure((width, 2.9 * rows + 0.3 + 0.2 * len(runs)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, quantity in zip(grid.flat, quantities, strict=False):
        for at, run in enumerate(runs):
            series = _validated(run, quantity)
            if series is None:
                continue
            epochs, values = series
            axes.plot(epochs, values, "o", ms=3, ls=_dash(at), lw=1.6, color=_colour(at))
            best = np.flatnonzero(np.asarray(epochs) == run.best_epoch)
            if best.size:
                value = values[best[0]]
                axes.plot(run.best_epoch, value, "o", ms=8, mfc="white", mec=_colour(at), mew=2)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
        if quantity.percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        words = f"validation {quantity.words}"
        headline(axes, words[:1].upper() + words[1:], inches=width / columns - 0.6)
    for axes in grid.flat[len(quantities) :]:
        axes.remove()
    marks = [
        Line2D([], [], color=_colour(at), ls=_dash(at), marker="o", ms=4) for at in range(len(runs))
    ]
    figure.legend(marks, [run.name for run in runs], loc="outside upper left", ncols=1)
    return figure


@styled
def compare_energies(runs: Sequence[RunFacts], *, width: float = WIDE) -> Figure:
    """Draw what a sequence costs each run, by the full count, with the papers' formula marked.

    Args:
        runs: what is compared, all with energies.
        width: width of the figure, in inches.
    """
    figure = Figure((width, 0.55 * len(runs) + 0.9), layout="constrained")
    axes = figure.subplots()
    low = energy_axis(axes, len(runs), min(run.energies[a][0] for run in runs for a in _ACCOUNTS))
    for at, run in enumerate(runs):
        computing, total = run.energies["full"]
        axes.barh(at, total - low, left=low, height=0.4, color=FAINT, zorder=2)
        axes.barh(at, computing - low, left=low, height=0.4, color=BLUE, zorder=3)
        papers, dense = run.energies["papers"][0], run.energies["dense_int8"][0]
        axes.plot(papers, at, "|", ms=24, mew=2, color=VERMILION, zorder=4)
        axes.plot(dense, at, "D", ms=5, mfc="white", color=INK, zorder=4)
        axes.text(0, at - 0.26, run.name, transform=axes.get_yaxis_transform(), va="bottom")
    return figure


def _quantities(runs: Sequence[RunFacts]) -> list[Quantity]:
    return list(dict.fromkeys((LOSS, *(run.headline for run in runs))))


def _validated(run: RunFacts, quantity: Quantity) -> Any:
    return run.history.get(quantity.name, {}).get("val")


def _colour(at: int) -> str:
    return _COLOURS[at % len(_COLOURS)]


def _dash(at: int) -> Any:
    return _DASHES[at // len(_COLOURS) % len(_DASHES)]
