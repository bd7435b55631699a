"""Pictures of a kept run: cost against T, share of the floor, the network against its products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from spikescan.bench.case import COPY, OURS, YARDSTICK
from spikescan.bench.cases.network import KEPT, PRODUCTS
from spikescan.bench.cases.sweep import NEURONS, label
from spikescan.bench.crossover import speed_against_rate
from spikescan.bench.results import CaseResult, Results, Timing
from spikescan.bench.table import duration
from spikescan.report.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    VERMILION,
    headline,
    styled,
    to_svg,
)

_PEERS = (ORANGE, VERMILION, PURPLE, MUTED)
_MARKS = ("s", "^", "D", "v")


def write_figures(results: Results, folder: Path) -> list[Path]:
    """Draw what the results hold as SVG; return the files written."""
    drawings: dict[str, Callable[[Results], Figure | None]] = {
        "cost-against-t": cost_against_t,
        "share-of-floor": share_of_floor,
        "training-step": training_step,
        "speed-against-rate": speed_against_rate,
    }
    written = []
    for name, draw in drawings.items():
        figure = draw(results)
        if figure is None:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        written.append(folder / f"{name}.svg")
        written[-1].write_bytes(to_svg(figure))
    return written


def cost_against_t(results: Results) -> Figure | None:
    """Seconds of a forward and backward pass over T, both logarithmic, a panel a neuron."""
    case = results.case("cost-against-t")
    return _cost_against_t(case, results) if case is not None and case.timings else None


@styled
def _cost_against_t(case: CaseResult, results: Results) -> Figure:
    figure = Figure((10.6, 5.2), layout="constrained")
    every = figure.subplots(1, len(NEURONS), sharex=True, sharey=True)
    lanes = f"{case.shape.batch} x {case.shape.features}"
    for i, (axes, (neuron, contenders)) in enumerate(zip(every, NEURONS.items(), strict=True)):
        names = [contender.name for contender in contenders]
        for k, name in enumerate(names):
            ours = name == OURS
            points = [t for t in case.timings if t.contender == label(neuron, name)]
            colour, mark = (BLUE, "o") if ours else (_PEERS[k - 1], _MARKS[k - 1])
            _line(axes, points, name, colour, mark)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        steps = sorted({t.shape.steps for t in case.timings})
        axes.xaxis.set_major_locator(FixedLocator(steps))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
        axes.set_xlabel("steps T")
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.17))
        headline(
            axes,
            neuron,
            _detail(results, f"{lanes} neurons, bands least to most; ") if i == 0 else "",
            inches=3.4,
        )
    every[0].set_ylabel("forward and backward")
    return figure


def _line(axes: Axes, points: Sequence[Timing], name: str, colour: str, mark: str) -> None:
    if not points:
        return
    x = [t.shape.steps for t in points]
    axes.fill_between(
        x, [t.low for t in points], [t.high for t in points], color=colour, alpha=0.2, lw=0
    )
    width = 2.2 if name == OURS else 1.4
    y = [t.median for t in points]
    axes.plot(x, y, marker=mark, ms=4, color=colour, lw=width, label=name)


def _short(steps: float) -> str:
    """
    >>> _short(1024), _short(1 << 20), _short(64)
    ('1k', '1M', '64')
    """
    for unit, size in (("M", 1 << 20), ("k", 1 << 10)):
        if steps >= size:
            return f"{steps / size:g}{unit}"
    return f"{steps:g}"


def _detail(results: Results, lanes: str = "") -> str:
    quick = "quick run; " if results.quick else ""
    facts = results.machine
    return f"{quick}{lanes}{facts.get('processor')}, {facts.get('threads')} threads"


def share_of_floor(results: Results) -> Figure | None:
    """How near the neurons come to the time that moving their bytes alone takes."""
    cases = [c for c in results.cases if c.fact("our time / floor") and c.name.endswith(_FLOORS)]
    return _share_of_floor(cases, results) if cases else None


_FLOORS = ("-floor", "-floor-long", "dsn-recurrence", "dsn-psn")


@styled
def _share_of_floor(cases: Sequence[CaseResult], results: Results) -> Figure:
    figure = Figure((8.4, 1.5 + 0.5 * len(cases)), layout="constrained")
    axes = figure.subplots()
    rows = range(len(cases))
    shares = [1 / (case.fact("our time / floor") or 1) for case in cases]
    axes.barh(rows, shares, color=BLUE, height=0.55)
    for row, case, share in zip(rows, cases, shares, strict=True):
        floor, yardstick = case.fact("floor, s"), case.median(YARDSTICK)
        text, end = f"{share:.0%}", share
        if floor is not None and yardstick:
            # PF against the same floor: what a plain copy and sum reach of it.
            reached = floor / yardstick
            axes.plot([reached, reached], [row - 0.36, row + 0.36], color=INK, lw=1.6)
            text, end = f"{text}  ({YARDSTICK}: {reached:.0%})", max(share, reached)
        axes.annotate(
            text, (end, row), (6, 0), textcoords="offset points", va="center", fontsize=8.5
        )
    axes.set_yticks(rows, [f"{case.name}\n{case.shape}" for case in cases])
    axes.invert_yaxis()
    axes.axvline(1, color=FAINT, lw=1.2)
    axes.set_xlim(0, max(1.4, 1.4 * max(shares)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.set_xlabel("share of the speed of memory that forward and backward pass reach")
    detail = f"100 %: the fewest bytes at the rate of a {COPY} in the same run; black: {YARDSTICK}"
    headline(axes, "Share of the floor", f"{detail}; {_detail(results)}", inches=7.0)
    return figure


def training_step(results: Results) -> Figure | None:
    """Time of a training step beside that of its matrix products."""
    case = results.case("training-step")
    return _training_step(case, results) if case is not None and case.timings else None


@styled
def _training_step(case: CaseResult, results: Results) -> Figure:
    names = {
        OURS: "training step",
        PRODUCTS: "its matrix products",
        KEPT: "the same, into kept memory",
    }
    timings = [t for t in case.timings if t.contender in names]
    figure = Figure((8.4, 2.6), layout="constrained")
    axes = figure.subplots()
    rows = range(len(timings))
    medians = [t.median for t in timings]
    spread = [[t.median - t.low for t in timings], [t.high - t.median for t in timings]]
    colours = [BLUE if t.contender == OURS else MUTED for t in timings]
    axes.barh(rows, medians, xerr=spread, color=colours, height=0.55, ecolor=INK, capsize=3)
    axes.set_yticks(rows, [names[t.contender] for t in timings])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: duration(v) if v else "0"))
    ours, products = case.median(OURS), case.median(PRODUCTS)
    title = "Training step of the two-block SD-TCM"
    if ours and products:
        title += f": {ours / products:.2f} x its matrix products"
    headline(axes, title, f"{case.shape}; {_detail(results)}", inches=7.0)
    return figure
