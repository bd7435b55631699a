"""Results as text: Markdown to keep, and the few words that the terminal shows."""

from __future__ import annotations

from pathlib import Path

from spikescan.bench.case import OURS
from spikescan.bench.results import CaseResult, Outcome, Results, Timing

QUICK = "Quick run on smaller shapes, which are not the required ones: nothing is judged."


def markdown(results: Results) -> str:
    """All that was measured, as one Markdown document."""
    lines = ["# Benchmark results", ""]
    lines += [f"* date: {results.date}"]
    lines += [f"* {name}: {value}" for name, value in results.machine.items()]
    lines += [f"* repeats: {results.repeats}, fewer where stated; median, least to most", ""]
    if results.quick:
        lines += [f"**{QUICK}**", ""]
    lines += _row("case", "shape", "what", "measured", "required", "stretch", "verdict")
    lines += _row(*["---"] * 7)
    for case in results.cases:
        for outcome in case.outcomes:
            lines += _row(
                f"[{case.name}](#{case.name})",
                str(case.shape),
                outcome.what,
                value_of(outcome),
                bound_of(outcome),
                bound_of(outcome, stretch=True),
                verdict_of(outcome),
            )
        if not case.outcomes:
            lines += _row(
                f"[{case.name}](#{case.name})", str(case.shape), "", "", "", "", case.verdict
            )
    for case in results.cases:
        lines += ["", *_section(case)]
    return "\n".join(lines) + "\n"


def write_markdown(results: Results, path: Path) -> None:
    path.write_text(markdown(results), encoding="utf-8")


def value_of(outcome: Outcome) -> str:
    return "-" if outcome.value is None else _number(outcome.value, outcome.percent)


def bound_of(outcome: Outcome, *, stretch: bool = False) -> str:
    bound = outcome.stretch if stretch else outcome.required
    if bound is None:
        return ""
    return f"{'≥' if outcome.at_least else '≤'} {_number(bound, outcome.percent)}"


def verdict_of(outcome: Outcome) -> str:
    more = outcome.verdict == "holds" and outcome.stretched
    return "stretch" if more else outcome.verdict


def duration(seconds: float) -> str:
    """
    >>> duration(12.34), duration(0.01234), duration(1.234e-5)
    ('12.3 s', '12.3 ms', '12.3 µs')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def _number(value: float, percent: bool) -> str:
    if percent:
        return f"{100 * value:.1f} %"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:,.1f}"


def _row(*cells: str) -> list[str]:
    cells = tuple(cell.replace("|", r"\|") for cell in cells)
    return [f"| {' | '.join(cells)} |"]


def _section(case: CaseResult) -> list[str]:
    lines = [f"## {case.name}", "", f"{case.title}; {case.shape}. Verdict: **{case.verdict}**."]
    if case.said:
        lines += ["", f"Check: {case.said}."]
    lines += ["", *(f"* {reason}" for reason in case.missing)] if case.missing else []
    if case.timings:
        lines += ["", *_row("contender", "shape", "median", "spread", "/ ours", "repeats", "how")]
        lines += _row(*["---"] * 7)
        for timing in case.timings:
            lines += _row(
                timing.contender,
                str(timing.shape),
                duration(timing.median),
                f"{duration(timing.low)} to {duration(timing.high)}",
                _against_ours(case, timing),
                str(len(timing.seconds)),
                timing.setting,
            )
    if case.facts:
        lines += ["", *(f"* {name}: {value:,.4g}" for name, value in case.facts)]
    return lines


def _against_ours(case: CaseResult, timing: Timing) -> str:
    """Ratio to ours at the same shape, of the same neuron where a case times several."""
    neuron, colon, _ = timing.contender.rpartition(": ")
    ours = next(
        (
            t.median
            for t in case.timings
            if t.shape == timing.shape and t.contender == f"{neuron}{colon}{OURS}"
        ),
        None,
    )
    return "" if ours is None else f"{timing.median / ours:.2f}"
