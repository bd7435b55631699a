"""Growth of the cost with T, for the same number of elements cut into rows of every length."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

from spikescan import LIF, Neuron
from spikescan.bench.case import OURS, Case, Contender, Goal, Make, Measured, Run, Runs, Shape
from spikescan.bench.cases import lif, prf
from spikescan.bench.compare import same
from spikescan.bench.inputs import differentiate, inputs, leaf

CUTS = (1024, 256, 64, 16, 4, 1)
"""Into how many rows one long sequence is cut: at T = 1,048,576 these are T = 1,024 and up."""

Build = Callable[[Shape], Neuron]


def name(cut: int) -> str:
    return "whole T" if cut == 1 else f"T / {cut}"


def _make(build: Build, cut: int) -> Make:
    def make(shape: Shape) -> Run:
        neuron = build(shape)
        leaves = [p for p in neuron.parameters() if p.requires_grad]
        # Views of the same memory, so that all lengths together need no more of it than one.
        size = (shape.batch * cut, shape.steps // cut, shape.features)
        x, g = (t.view(size) for t in inputs(shape))
        x = leaf(x)
        return lambda: differentiate(neuron(x)[0], g, (x, *leaves))

    return make


def _check(build: Build, loop: Callable[[Shape, Runs], str], ours: Make) -> Callable[..., str]:
    """At a short T as the loop; at the full T the same in one call and in four."""

    def check(shape: Shape, runs: Runs) -> str:
        short = Shape(min(4096, shape.steps), shape.batch, shape.features)
        said = loop(short, {OURS: ours(short)})
        neuron = build(shape)
        x, g = inputs(shape)
        x, state, spikes = leaf(x), None, []
        for chunk in x.chunk(4, 1):
            s, state = neuron(chunk, state)
            spikes.append(s)
        pieces = differentiate(torch.cat(spikes, 1), g, (x,))
        return f"T={short.steps:,}: {said}; {shape}: {same(runs[name(1)](), pieces, who='pieces')}"

    return check


def _deviation(measured: Measured) -> float:
    seconds = [measured[name(cut)] for cut in CUTS]
    typical = statistics.median(seconds)
    return max(abs(s / typical - 1) for s in seconds)


def _case(kind: str, build: Build, loop: Callable[[Shape, Runs], str], ours: Make) -> Case:
    return Case(
        f"{kind.lower()}-growth",
        f"{kind}: growth of the cost with T, from T / 1024 to T",
        # Two rows at the longest T: it is length that is measured, not a lack of rows for threads.
        Shape(1 << 20, 2, 64),
        Shape(1 << 15, 2, 64),
        _check(build, loop, ours),
        _contenders(build),
        goals=(
            Goal(
                "time per element, largest deviation from its median over T",
                _deviation,
                tuple(name(cut) for cut in CUTS),
                0.15,
                at_least=False,
                percent=True,
            ),
        ),
    )


def _one_row(kind: str, build: Build, loop: Callable[[Shape, Runs], str], ours: Make) -> Case:
    """What a lack of rows costs: time has to run in sequence, so that threads share out channels,
    and each of them then reads pieces of rows."""
    return Case(
        f"{kind.lower()}-growth-one-row",
        f"{kind}: the same down to a single row, whose channels the threads share out",
        Shape(1 << 20, 1, 128),
        Shape(1 << 15, 1, 128),
        _check(build, loop, ours),
        _contenders(build),
    )


def _contenders(build: Build) -> tuple[Contender, ...]:
    return tuple(
        Contender(
            name(cut), _make(build, cut), setting=f"{cut:,} times as many rows, as much less T"
        )
        for cut in CUTS
    )


CASES = tuple(
    case(kind, build, loop, ours)
    for kind, build, loop, ours in (
        ("LIF", lambda shape: LIF(shape.features), lif.check, lif.ours),
        ("PRF", prf.neuron, prf.check, prf.ours),
    )
    for case in (_case, _one_row)
)
