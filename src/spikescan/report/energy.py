"""What a run's network costs, for its page: both accounts side by side, and where it goes."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from spikescan.energy import Account, Estimate

from .record import Section
from .style import BLUE, FAINT, INK, MUTED, ORANGE, WIDE, headline, shorten, styled

__all__ = ["energy_axis", "energy_breakdown", "energy_section", "joules"]

_CAPTION = """An estimate: operations counted while the network ran on {sequences:,} test sequences
of {steps:,.0f} steps, times the energies of a table ({table}). The papers' formula counts spikes
and their fan-out alone, and so leaves out neurons, encoder, head and memory. The dense networks
have the same widths, with real numbers for spikes and a ReLU without memory for each neuron: less
than any network needs that remembers. {break_evens}."""


def energy_section(account: Account) -> Section:
    """Make the section that shows what a network costs.

    Args:
        account: what was counted.
    """
    rows = account.estimates()
    mean = account.steps / account.sequences
    met = "; ".join(met.words for met in account.break_evens())
    return Section(
        heading="Energy, estimated",
        draw=partial(energy_breakdown, account),
        alt="Bar charts of the energy of a sequence. "
        + ", ".join(f"{row.words} ({row.table}) {_both(row)}" for row in rows)
        + f". {_largest(account)}",
        caption=_CAPTION.format(
            sequences=account.sequences,
            steps=mean,
            table=account.table.name,
            break_evens=met[:1].upper() + met[1:],
        ),
        table=(
            ("a sequence costs", "table", "computing", "with memory"),
            *((row.words, row.table, joules(row.energy.computing), _memory(row)) for row in rows),
        ),
    )


@styled
def energy_breakdown(account: Account, *, width: float = WIDE) -> Figure:
    """Draw the accounts of a network side by side, and its layers' shares.

    Args:
        account: what was counted.
        width: width of the figure, in inches; the panels stand below each other below 6.5.
    """
    rows = account.estimates()
    layers = [layer for layer in account.layers if account.energy(layer).total]
    is_narrow = width < 6.5
    heights = (0.42 * len(rows) + 1.0, 0.24 * len(layers) + 1.0)
    size = (width, sum(heights)) if is_narrow else (width, max(heights))
    figure = Figure(size, layout="constrained")
    # Figures of their own, or the names of the one panel would indent the other.
    if is_narrow:
        upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=heights).flat
    else:
        upper, lower = figure.subfigures(1, 2, squeeze=False).flat
    inches = width if is_narrow else width / 2
    _accounts(upper.subplots(), rows, inches)
    _layers(lower.subplots(), account, inches)
    return figure


def _accounts(axes: Axes, rows: tuple[Estimate, ...], inches: float) -> None:
    totals = [row.energy.total for row in rows]
    low = energy_axis(axes, len(rows), min(row.energy.computing for row in rows))
    for at, row in enumerate(rows):
        energy = row.energy
        axes.barh(at, energy.total - low, left=low, height=0.34, color=FAINT, zorder=2)
        axes.barh(at, energy.computing - low, left=low, height=0.34, color=BLUE, zorder=3)
        axes.text(
            0, at - 0.24, f"{row.words} ({row.table})", transform=axes.get_yaxis_transform(),
            va="bottom", fontsize=8.5,
        )  # fmt: skip
        after = f" {_both(row, inches < 4)}"
        end = max(energy.total, low * 1.05)
        axes.text(end, at, after, va="center", fontsize=8, color=MUTED)
    # Room for the words after the longest bar.
    axes.set_xlim(low, max(totals) * (max(totals) / low) ** 0.75)
    headline(axes, "Accounts", "blue: computing; grey: with memory", inches=inches)


def energy_axis(axes: Axes, bars: int, least: float) -> float:
    """Prepare axes for bars of energies below each other, in joules on a logarithmic axis.

    Args:
        axes: what is drawn on.
        bars: their number.
        least: the smallest energy of all.

    Returns:
        Where bars begin, as a logarithm has no zero.
    """
    axes.set_xscale("log")
    axes.set_ylim(bars - 0.6, -0.8)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: joules(value)))
    axes.minorticks_off()
    axes.set_xlabel("energy of a sequence (logarithmic)")
    return float(10 ** np.floor(np.log10(least)) / 2) if least > 0 else 1e-12


def _layers(axes: Axes, account: Account, inches: float) -> None:
    layers = [layer for layer in account.layers if account.energy(layer).total]
    energies = [account.energy(layer) for layer in layers]
    for at, (layer, energy) in enumerate(zip(layers, energies, strict=True)):
        colour = ORANGE if layer.kind == "Synapse" else BLUE
        axes.barh(at, energy.computing, height=0.6, color=colour, zorder=3)
    names = [layer.name.removeprefix("backbone.") for layer in layers]
    limit = 22 if inches < 4 else 30
    axes.set_yticks(range(len(layers)), [shorten(name, limit) for name in names], fontsize=8)
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: joules(value)))
    axes.set_xlabel("energy of computing a sequence")
    detail = "orange: driven by spikes; blue: the rest"
    headline(axes, "Layers, full count", detail, inches=inches - 1.2)


def _largest(account: Account) -> str:
    layer = max(account.layers, key=lambda layer: account.energy(layer).computing)
    return f"The largest part is {layer.name}, {joules(account.energy(layer).computing)}"


def _both(row: Estimate, is_narrow: bool = False) -> str:
    computing, total = joules(row.energy.computing), joules(row.energy.total)
    if not row.energy.memory:
        return computing
    return f"{computing}, {total}" + ("" if is_narrow else " with memory")


def _memory(row: Estimate) -> str:
    return joules(row.energy.total) if row.energy.memory else "not counted"


def joules(value: float) -> str:
    """Write an energy with three digits and a prefix.

    >>> joules(2.64e-05), joules(0.00125), joules(0)
    ('26.4 µJ', '1.25 mJ', '0 J')
    """
    for scale, unit in ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"), (1e-12, "pJ")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return "0 J"
