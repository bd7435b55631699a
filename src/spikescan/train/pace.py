"""How fast a trained network runs step by step, measured for its report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import cycle

import torch
from lightning.pytorch.plugins import Precision
from torch import Tensor

from spikescan.data import SequenceBatch
from spikescan.ops._core.cpu import BUILT
from spikescan.stream import CannotFold, Stream, fold
from spikescan.tasks import Task

_SECONDS, _TIMES = 0.02, 10


@torch.no_grad()
def pace_of(
    task: Task, batch: SequenceBatch, precision: Precision
) -> tuple[float | None, list[str]]:
    """Steps a second of the folded network on one core, or a note of why there are none.

    Measured as the thread's own time, a call a step, on the first sequence of the batch again and
    again: the fastest of ten times a fiftieth of a second, as what else a machine does only delays.
    """
    if not BUILT:
        return None, ["no steps a second: the compiled kernels are missing"]
    try:
        stream = Stream(fold(task.model))
    except CannotFold as error:
        why, *more = str(error).split("; ")
        return None, [f"no steps a second: {why}" + (f" and {len(more)} more" if more else "")]
    x = _read_by_network(task, batch, precision)
    steps = list(x.split(1)) if len(x) else []
    if not steps:
        return None, ["no steps a second: the first test sequence is empty"]
    stream.push(steps[0])  # what is made at the first call is not a step's
    endless = cycle(steps)
    return max(_pace(stream, endless) for _ in range(_TIMES)), []


def _pace(stream: Stream, steps: Iterator[Tensor]) -> float:
    began, done = time.thread_time(), 0
    while (passed := time.thread_time() - began) < _SECONDS:
        stream.push(next(steps))
        done += 1
    return done / passed


def _read_by_network(task: Task, batch: SequenceBatch, precision: Precision) -> Tensor:
    """The first sequence as the network gets it: a task may scale it, or take channels apart."""
    rows = max(1, len(batch.x) // len(batch.y))  # two of a pair
    lengths = None if batch.lengths is None else batch.lengths[:rows]
    seen: list[Tensor] = []
    hook = task.model.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        with precision.forward_context():
            task(precision.convert_input(batch.x[:rows]), lengths)
    finally:
        hook.remove()
    x = seen[0][0] if lengths is None else seen[0][0, : int(lengths[0])]
    return x.float() if x.is_floating_point() else x
