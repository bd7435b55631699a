"""What a run of the suite measured, and how it is kept as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from spikescan.bench.case import Goal, Measured, Shape

Verdict = Literal[
    "holds", "falls short", "wrong", "not measured", "not judged", "failed", "measured"
]
"""Of a goal or a case. "not judged": a quick run, whose shapes are not the required ones;
"not measured": a peer is missing; "failed": it raised; "measured": nothing is required."""

_GRAVITY: tuple[Verdict, ...] = (
    "measured", "holds", "not judged", "not measured", "falls short", "failed", "wrong"
)  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """Samples of one contender at one shape."""

    contender: str
    shape: Shape
    setting: str
    calls: int
    """Calls of which each sample is the mean."""
    seconds: tuple[float, ...]
    """Seconds a call, one for each repeat."""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def low(self) -> float:
        return min(self.seconds)

    @property
    def high(self) -> float:
        return max(self.seconds)


@dataclass(frozen=True)
class Outcome:
    """A goal and what came of it."""

    what: str
    value: float | None
    """None when it could not be computed."""
    required: float
    stretch: float | None
    at_least: bool
    percent: bool
    verdict: Verdict

    @property
    def stretched(self) -> bool:
        """Whether the bound hoped for is reached too."""
        return (
            self.value is not None
            and self.stretch is not None
            and _meets(self.value, self.stretch, self.at_least)
        )


@dataclass(frozen=True)
class CaseResult:
    """All that is known of a case after its run."""

    name: str
    title: str
    shape: Shape
    verdict: Verdict
    said: str
    """What the check found, or why there is nothing more."""
    timings: tuple[Timing, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    facts: tuple[tuple[str, float], ...] = ()
    missing: tuple[str, ...] = ()
    """Comparisons left out, and what to install for them."""
    took: float = 0.0
    """Seconds for all of it, checks included."""

    def median(self, contender: str) -> float | None:
        return next((t.median for t in self.timings if t.contender == contender), None)

    def fact(self, name: str) -> float | None:
        return dict(self.facts).get(name)


@dataclass(frozen=True)
class Results:
    """A run of the suite."""

    machine: dict[str, str]
    date: str
    """When it began, ISO 8601 with time zone."""
    quick: bool
    repeats: int
    cases: tuple[CaseResult, ...]

    def case(self, name: str) -> CaseResult | None:
        return next((c for c in self.cases if c.name == name), None)


def judge(goal: Goal, measured: Measured, *, quick: bool) -> Outcome:
    """Hold a goal against what was measured."""
    value: float | None = None
    verdict: Verdict = "not measured"
    if all(name in measured for name in goal.uses):
        value = goal.value(measured)
        verdict = "holds" if _meets(value, goal.required, goal.at_least) else "falls short"
        if quick:
            verdict = "not judged"
    return Outcome(
        goal.what,
        value,
        goal.required,
        goal.stretch,
        goal.at_least,
        goal.percent,
        verdict,
    )


def _meets(value: float, bound: float, at_least: bool) -> bool:
    # Written so that NaN meets nothing.
    return value >= bound if at_least else value <= bound


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a whole; "measured" of nothing."""
    return _GRAVITY[max((_GRAVITY.index(v) for v in verdicts), default=0)]


def exit_status(results: Results) -> int:
    """1 when something is wrong, failed or falls short; 3 when something was not measured; 0."""
    verdict = worst([case.verdict for case in results.cases])
    if _GRAVITY.index(verdict) >= _GRAVITY.index("falls short"):
        return 1
    return 3 if verdict == "not measured" else 0


def write_json(results: Results, path: Path) -> None:
    path.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Results:
    """Results kept by :func:`write_json`.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Results(**(kept | {"cases": tuple(_case(c) for c in kept["cases"])}))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold results of spikescan bench") from error


def _case(kept: dict[str, Any]) -> CaseResult:
    timings = (
        Timing(**(t | {"shape": Shape(**t["shape"]), "seconds": tuple(t["seconds"])}))
        for t in kept["timings"]
    )
    changes = {
        "shape": Shape(**kept["shape"]),
        "timings": tuple(timings),
        "outcomes": tuple(Outcome(**o) for o in kept["outcomes"]),
        "facts": tuple((name, value) for name, value in kept["facts"]),
        "missing": tuple(kept["missing"]),
    }
    return CaseResult(**(kept | changes))
