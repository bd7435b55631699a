"""Calls so small that what surrounds a kernel is most of their time."""

from __future__ import annotations

from collections.abc import Callable

import torch

from spikescan.bench.case import OURS, Case, Contender, Outputs, Run, Runs, Shape, Wrong
from spikescan.bench.compare import with_loop
from spikescan.bench.inputs import differentiate, inputs, leaf
from spikescan.bench.peers import loops
from spikescan.neurons import DSN, LIF, PRF, Neuron, SlidingPSN, Spatial

TAU = 2.0
TORCH, ADD = "torch sigmoid", "torch.add of a row"
STEPS: dict[str, Callable[[int], Neuron]] = {
    "LIF.step": LIF,
    "PRF.step": PRF,
    "DSN.step": DSN,
    "Spatial.step": Spatial,
    "SlidingPSN.step": SlidingPSN,
}


def lif(shape: Shape) -> Run:
    """A sequence forward and back."""
    neuron = LIF(shape.features, tau=TAU)
    x, g = inputs(shape)
    x = leaf(x)

    def run() -> Outputs:
        return differentiate(neuron(x)[0], g, (x,))

    return run


def sigmoid(shape: Shape) -> Run:
    """What torch takes for one function of its own, forward and back."""
    x, g = inputs(shape)
    x = leaf(x)

    def run() -> Outputs:
        return differentiate(x.sigmoid(), g, (x,))

    return run


def step(make: Callable[[int], Neuron]) -> Callable[[Shape], Run]:
    """One step of one row, without gradient."""

    def prepare(shape: Shape) -> Run:
        neuron = make(shape.features).eval()
        x = inputs(shape)[0][:1, 0]
        with torch.no_grad():
            _, state = neuron.step(x)

        def run() -> Outputs:
            with torch.no_grad():
                return (neuron.step(x, state)[0],)

        return run

    return prepare


def add(shape: Shape) -> Run:
    x = inputs(shape)[0][:1, 0]

    def run() -> Outputs:
        return (torch.add(x, x),)

    return run


def check(shape: Shape, runs: Runs) -> str:
    """LIF as the loop has it; that steps are the whole is for the tests."""
    x, g = inputs(shape)
    x = leaf(x)
    spikes = loops.lif(x, 1 - 1 / TAU)
    said = with_loop(runs, differentiate(spikes, g, (x,)), {}, gradient=1e-5)
    for name in STEPS:
        if not bool(runs[name]()[0].isfinite().all()):
            raise Wrong(f"{name} gives what is not finite")
    return said


CASES = (
    Case(
        "calls",
        "small calls: LIF forward and backward, and one step of each neuron",
        Shape(100, 8, 64),
        Shape(100, 2, 64),
        check,
        (
            Contender(OURS, lif, setting="LIF, forward and backward of all steps"),
            Contender(TORCH, sigmoid, setting="forward and backward of the same tensor"),
            *(
                Contender(name, step(make), setting="one step of one row, no gradient")
                for name, make in STEPS.items()
            ),
            Contender(ADD, add, setting="the least that torch takes for one step of one row"),
        ),
    ),
)
