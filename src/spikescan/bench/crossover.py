"""Picture of steps a second against the firing rate, beside dense products of the same widths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from spikescan.bench.case import OURS
from spikescan.bench.cases.stream import DENSE, DENSE8, INT8, RATES, name
from spikescan.bench.results import CaseResult, Results
from spikescan.report.style import BLUE, INK, VERMILION, headline, styled

CASE = "stream-rates"


def speed_against_rate(results: Results) -> Figure | None:
    """Steps a second of one stream over the firing rate, both logarithmic."""
    case = results.case(CASE)
    return _speed_against_rate(case, results) if case is not None and case.timings else None


def crossing(rates: Sequence[float], speeds: Sequence[float], dense: float) -> float | None:
    """The firing rate below which events are faster, on straight lines between the logarithms.

    None where they always are, or never.

    >>> round(crossing([0.1, 1.0], [1000, 10], 100), 3)
    0.316
    >>> crossing([0.1, 1.0], [1000, 10], 5)
    """
    above = np.log(speeds) - np.log(dense)
    for i in range(len(above) - 1):
        if above[i] >= 0 > above[i + 1]:
            share = above[i] / (above[i] - above[i + 1])
            low, high = np.log(rates[i]), np.log(rates[i + 1])
            return float(np.exp(low + share * (high - low)))
    return None


@styled
def _speed_against_rate(case: CaseResult, results: Results) -> Figure:
    figure = Figure((8.4, 4.6), layout="constrained")
    axes = figure.subplots()
    pairs = (
        (OURS, "float32", DENSE, BLUE, "o"),
        (INT8, "int8", DENSE8, VERMILION, "s"),
    )
    for kind, words, dense, colour, mark in pairs:
        seconds = [(rate, case.median(name(rate, kind))) for rate in RATES]
        points = [(rate, case.shape.steps / t) for rate, t in seconds if t]
        rates, speeds = [rate for rate, _ in points], [speed for _, speed in points]
        axes.plot(rates, speeds, marker=mark, ms=5, color=colour, lw=2, label=f"events, {words}")
        took = case.median(dense)
        if not took or not points:
            continue
        level = case.shape.steps / took
        label = f"dense products alone, {words}"
        axes.axhline(level, color=colour, lw=1.3, ls=(0, (5, 2)), label=label)
        at = crossing(rates, speeds, level)
        if at is not None:
            _mark(axes, at, level, f"{100 * at:.0f} %")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(RATES))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("neurons that fire in a step")
    axes.set_ylabel("steps a second, one core")
    axes.legend(loc="upper right")
    quick = "quick run; " if results.quick else ""
    detail = f"{quick}{case.title}; {results.machine.get('processor')}"
    headline(axes, "Events against dense products", detail, inches=7.4)
    return figure


def _mark(axes: Axes, x: float, y: float, text: str) -> None:
    axes.plot([x], [y], marker="o", ms=11, mfc="none", mec=INK, mew=1.4)
    axes.annotate(text, (x, y), xytext=(8, 8), textcoords="offset points", color=INK)
