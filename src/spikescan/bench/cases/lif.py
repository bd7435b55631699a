"""LIF against the libraries that run it step by step, and against the memory's speed."""

from __future__ import annotations

from spikescan import LIF
from spikescan.bench.case import (
    OURS,
    YARDSTICK,
    Case,
    Contender,
    Goal,
    Outputs,
    Run,
    Runs,
    Shape,
    faster,
    within,
)
from spikescan.bench.compare import with_loop
from spikescan.bench.inputs import differentiate, inputs, leaf, time_first
from spikescan.bench.peers import loops, snntorch, spikingjelly
from spikescan.bench.peers.yardsticks import YARDSTICKS

NODE, OPERATORS = "SpikingJelly LIFNode", "SpikingJelly sj_lif operators"

BYTES = 20
"""Fewest bytes an element: read x, write s; read g and x, write dx."""


def ours(shape: Shape) -> Run:
    # With tau = 2 both ways to write the decay, v / 2 and v - v / 2, are the same number: spikes
    # of peers have to be equal, all of them. Time does not depend on tau.
    neuron = LIF(shape.features, tau=2.0).to(shape.device)
    x, g = inputs(shape)
    x = leaf(x)

    def run() -> Outputs:
        return differentiate(neuron(x)[0], g, (x,))

    return run


def loop(shape: Shape) -> Run:
    x, g = time_first(shape)

    def run() -> Outputs:
        outputs = differentiate(loops.lif(x, 0.5, dim=0), g, (x,))
        return tuple(t.transpose(0, 1) for t in outputs)

    return run


def check(shape: Shape, runs: Runs) -> str:
    """Spikes equal to those of the loop and of SpikingJelly, all of them; equal gradients."""
    return with_loop(runs, loop(shape)(), {NODE: 0.0, OPERATORS: 0.0}, gradient=1e-5)


NEURON = Contender(OURS, ours, setting="LIF, soft reset, detached")
JELLY = (
    Contender(
        NODE,
        spikingjelly.lif_node,
        peer="spikingjelly",
        setting="multi-step, soft reset, detached, input not decayed, (T, N) contiguous",
        at_most=5,
    ),
    Contender(
        OPERATORS,
        spikingjelly.lif_operators,
        peer="spikingjelly",
        setting="its hand-written backward pass, which no public class of it runs on a CPU",
        at_most=5,
    ),
)
LEAKY = Contender(
    "snnTorch Leaky",
    snntorch.leaky,
    peer="snntorch",
    setting="one call a step; its reset comes one step late",
    at_most=2,
)
LOOP = Contender("plain loop", loop, setting="LIF in torch operations, (T, B, D)", at_most=3)


def _floor(name: str, steps: int, quick: int) -> Case:
    return Case(
        name,
        f"LIF against the speed of memory, T={steps:,}",
        Shape(steps, 64, 128),
        Shape(quick, 8, 128),
        check,
        (NEURON, *YARDSTICKS),
        goals=(within(YARDSTICK, required=1.5, stretch=1.0),),
        bytes_an_element=BYTES,
    )


def _faster(required: float, stretch: float) -> Goal:
    return faster(
        NODE, OPERATORS, required=required, stretch=stretch, called="SpikingJelly, its fastest way"
    )


def _against_jelly(
    name: str, title: str, shape: Shape, quick: Shape, goal: Goal, *more: Contender
) -> Case:
    return Case(
        name,
        title,
        shape,
        quick,
        check,
        (NEURON, *JELLY, *more, *YARDSTICKS),
        goals=(goal,),
        bytes_an_element=BYTES,
    )


CASES = (
    _against_jelly(
        "lif-long",
        "LIF on long sequences",
        Shape(16384, 64, 128),
        Shape(512, 8, 128),
        _faster(10, 20),
        LEAKY,
    ),
    _against_jelly(
        "lif-longer",
        "LIF on longer sequences",
        Shape(32768, 16, 128),
        Shape(1024, 4, 128),
        _faster(30, 50),
    ),
    _against_jelly(
        "lif-narrow",
        "LIF on one long sequence",
        Shape(16384, 1, 128),
        Shape(1024, 1, 128),
        _faster(500, 1000),
    ),
    _floor("lif-floor", 4096, 512),
    _floor("lif-floor-long", 16384, 1024),
)
