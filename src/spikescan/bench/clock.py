"""Timing of alternatives in turn: each round runs all of them, so that all see the same machine."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from spikescan.bench.case import Run, Runs

_LEAST_SECONDS = 0.02
"""A sample lasts at least about this long: faster functions are called several times."""
_MOST_CALLS = 100
_FAST_SECONDS = 0.2
"""What takes less runs untimed before it is timed, until it gets no faster: others left cold
memory, and a loop of many steps so many small pieces of it that the first large requests after it
wait until malloc has sorted them."""
_SETTLED = 0.9
"""A sample that takes at least this share of the one before it gets no faster."""
_CALLS_UNTIMED = 8
"""Most calls in an untimed sample."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Samples:
    """Seconds a call of one contender, a value for each round."""

    calls: int
    """Calls of which each sample is the mean."""
    seconds: tuple[float, ...]


def interleave(
    runs: Runs,
    rounds: Mapping[str, int],
    *,
    untimed: int = 6,
    clock: Clock = time.perf_counter,
    tick: Callable[[str], None] = lambda name: None,
) -> dict[str, Samples]:
    """Warm each function up, then time them in turn, ``rounds[name]`` times each.

    Args:
        runs: the functions, in the order of each round.
        rounds: how often to time each; one with fewer rounds drops out of the later ones.
        untimed: most samples to take of a fast function, before it is timed, until it gets no
            faster.
        clock: tells the time in seconds.
        tick: is told the name of each function when it was run.
    """
    took: dict[str, float] = {}
    for name, run in runs.items():
        took[name] = _warm_up(run, clock)
        tick(name)
    calls = {name: _calls(seconds) for name, seconds in took.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    # A round begins without garbage. What was there before is none: it need not be searched, not
    # by us between the rounds and not by Python in the middle of a loop over time.
    gc.collect()
    gc.freeze()
    try:
        for turn in range(max(rounds.values(), default=0)):
            gc.collect()
            for name, run in runs.items():
                if turn < rounds[name]:
                    if took[name] < _FAST_SECONDS:
                        _settle(run, min(calls[name], _CALLS_UNTIMED), untimed, clock)
                    seconds[name].append(_sample(run, calls[name], clock))
                    tick(name)
    finally:
        gc.unfreeze()
    return {name: Samples(calls[name], tuple(seconds[name])) for name in runs}


def waiting_clock() -> float:
    """The time when the GPU has done all it was asked to do."""
    torch.cuda.synchronize()
    return time.perf_counter()


def _warm_up(run: Run, clock: Clock) -> float:
    """Run until warm; return the seconds of a call."""
    took = _sample(run, 1, clock)
    if took < 1:
        # The first call may have loaded code and started threads: the second tells the cost.
        took = _sample(run, 1, clock)
    return took


def _settle(run: Run, calls: int, most: int, clock: Clock) -> None:
    """Run samples until one is no faster than the one before it."""
    before = _sample(run, calls, clock)
    for _ in range(most - 1):
        took = _sample(run, calls, clock)
        if took >= _SETTLED * before:
            return
        before = took


def _calls(took: float) -> int:
    """Number of calls that make a sample long enough."""
    return max(1, min(_MOST_CALLS, math.ceil(_LEAST_SECONDS / max(took, 1e-9))))


def _sample(run: Run, calls: int, clock: Clock) -> float:
    before = clock()
    for _ in range(calls - 1):
        run()
    outputs = run()
    after = clock()
    del outputs  # outside the measured time: what frees a result is not its computation
    return (after - before) / calls
