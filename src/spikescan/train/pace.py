"""How fast a trained network runs step by step, measured for its report."""

from __future__ import annotations

import time
from itertools import cycle

import torch

from spikescan.data import SequenceBatch
from spikescan.ops._core.cpu import BUILT
from spikescan.stream import CannotFold, Stream, fold
from spikescan.tasks import Task

_SECONDS = 0.1


@torch.no_grad()
def pace_of(task: Task, batch: SequenceBatch) -> tuple[float | None, list[str]]:
    """Steps a second of the folded network on one core, or a note of why there are none.

    Measured as the thread's own time over a tenth of a second, a call a step, on the first sequence
    of the batch again and again.
    """
    if not BUILT:
        return None, ["no steps a second: the compiled kernels are missing"]
    try:
        stream = Stream(fold(task.model))
    except CannotFold as error:
        why, *more = str(error).split("; ")
        return None, [f"no steps a second: {why}" + (f" and {len(more)} more" if more else "")]
    length = None if batch.lengths is None else int(batch.lengths[0])
    x = batch.x[0, :length].to("cpu")
    if x.is_floating_point():
        x = x.float()
    steps = list(x.split(1))
    if not steps:
        return None, ["no steps a second: the first test sequence is empty"]
    stream.push(steps[0])  # what is made at the first call is not a step's
    began, done = time.thread_time(), 0
    for done, step in enumerate(cycle(steps), 1):  # noqa: B007
        stream.push(step)
        if time.thread_time() - began >= _SECONDS:
            break
    return done / (time.thread_time() - began), []
