"""Run cases: check, time in turn, judge."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from spikescan.bench.case import (
    COPY,
    OURS,
    YARDSTICK,
    CannotMeasure,
    Case,
    Contender,
    Measured,
    Shape,
    Wrong,
)
from spikescan.bench.clock import interleave, waiting_clock
from spikescan.bench.inputs import forget
from spikescan.bench.machine import is_here, machine
from spikescan.bench.peers import why_missing
from spikescan.bench.peers.yardsticks import COPIED_BYTES
from spikescan.bench.results import CaseResult, Results, Timing, Verdict, judge, worst
from spikescan.memory import release

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How to run."""

    quick: bool
    repeats: int

    @property
    def patience(self) -> float:
        """Seconds a run in a sweep may take; a contender that would need more is left out."""
        return 0.2 if self.quick else 5.0


def run_cases(
    cases: Sequence[Case],
    settings: Settings,
    *,
    tell: Tell = lambda text: None,
    done: Callable[[Results], None] = lambda results: None,
) -> Results:
    """Run cases one after the other.

    Args:
        cases: what to run.
        settings: how.
        tell: is told what is going on.
        done: is handed the results so far after each case, the new one last.
    """
    date = datetime.now().astimezone().isoformat(timespec="seconds")
    results = Results(machine(), date, settings.quick, settings.repeats, ())
    for case in cases:
        began = time.perf_counter()
        result = run_case(case, settings, tell=tell)
        result = replace(result, took=time.perf_counter() - began)
        results = replace(results, cases=(*results.cases, result))
        done(results)
    return results


def run_case(case: Case, settings: Settings, *, tell: Tell = lambda text: None) -> CaseResult:
    """Check one case, time it and judge it; whatever happens becomes its result."""
    shape = case.quick if settings.quick else case.shape
    missing = tuple(
        f"{contender.name}: {reason}"
        for contender in case.contenders
        if (reason := why_missing(contender.peer)) is not None
    )
    blank = CaseResult(case.name, case.title, shape, "failed", "", missing=missing)
    try:
        if not is_here(shape.device):
            raise CannotMeasure(f"this machine has no {shape.device} device")
        said, timings, facts = _measure(case, shape, settings, tell)
    except Wrong as error:
        return replace(blank, verdict="wrong", said=str(error))
    except CannotMeasure as error:
        return replace(blank, verdict="not measured", said=str(error))
    except Exception as error:
        # One case that fails must not take the results of the others with it.
        return replace(blank, said=f"{type(error).__name__}: {error}")
    finally:
        forget()
        gc.collect()
        release()
    measured = {t.contender: t.median for t in timings} | facts
    outcomes = tuple(judge(goal, measured, quick=settings.quick) for goal in case.goals)
    facts |= _share_of_floor(case, shape, measured)
    return replace(
        blank,
        verdict=_verdict([o.verdict for o in outcomes], case, missing),
        said=said,
        timings=timings,
        outcomes=outcomes,
        facts=tuple(facts.items()),
    )


def _verdict(outcomes: list[Verdict], case: Case, missing: tuple[str, ...]) -> Verdict:
    """A case that informs only is not measured either when a peer that it is about is missing."""
    if missing and not case.goals:
        return "not measured"
    return worst(outcomes)


def _measure(
    case: Case, shape: Shape, settings: Settings, tell: Tell
) -> tuple[str, tuple[Timing, ...], dict[str, float]]:
    here = tuple(c for c in case.contenders if why_missing(c.peer) is None)
    if not case.sweep:
        said, timings = _at(case, shape, here, settings, tell)
        if case.facts:
            tell("measuring")
        return said, timings, case.facts(shape) if case.facts else {}
    told: list[str] = []
    all_timings: list[Timing] = []
    for i, multiple in enumerate(case.sweep):
        at = replace(shape, steps=shape.steps * multiple)
        growth = case.sweep[i + 1] / multiple if i + 1 < len(case.sweep) else 1
        here = tuple(c for c in here if c.most_steps is None or at.steps <= c.most_steps)
        said, timings = _at(case, at, here, settings, tell)
        forget()
        release()
        told += [said] if said else []
        all_timings += timings
        slow = {t.contender for t in timings if t.median * growth > settings.patience}
        here = tuple(c for c in here if c.name.endswith(OURS) or c.name not in slow)
    return ". ".join(told), tuple(all_timings), {}


def _at(
    case: Case, shape: Shape, contenders: Sequence[Contender], settings: Settings, tell: Tell
) -> tuple[str, tuple[Timing, ...]]:
    """Check and time at one shape."""
    tell(f"{shape}: preparing")
    runs = {contender.name: contender.make(shape) for contender in contenders}
    tell(f"{shape}: checking")
    said = case.check(shape, runs)
    rounds = {c.name: min(settings.repeats, c.at_most) for c in contenders}
    samples = interleave(
        runs,
        rounds,
        untimed=1 if settings.quick else 6,
        clock=time.perf_counter if shape.device == "cpu" else waiting_clock,
        tick=lambda name: tell(f"{shape}: timing {name}"),
    )
    timings = (
        Timing(c.name, shape, c.setting, samples[c.name].calls, samples[c.name].seconds)
        for c in contenders
    )
    return said, tuple(timings)


def _share_of_floor(case: Case, shape: Shape, measured: Measured) -> dict[str, float]:
    """The floor is the time to move the fewest bytes at the copy rate of this very run."""
    if not case.bytes_an_element or COPY not in measured:
        return {}
    rate = COPIED_BYTES * shape.elements / measured[COPY]
    floor = case.bytes_an_element * shape.elements / rate
    return {
        "copy rate, GB/s": rate / 1e9,
        "floor, s": floor,
        "our time / floor": measured[OURS] / floor,
        f"our time / {YARDSTICK}": measured[OURS] / measured[YARDSTICK],
    }
