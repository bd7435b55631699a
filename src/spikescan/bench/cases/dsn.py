"""DSN: the recurrence against a loop, the neuron with its convolution against PSN."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan import DSN, ops
from spikescan.bench.case import OURS, Case, Contender, Outputs, Run, Runs, Shape, Wrong, faster
from spikescan.bench.compare import same, with_loop
from spikescan.bench.inputs import differentiate, inputs, leaf
from spikescan.bench.peers import loops, spikingjelly
from spikescan.bench.peers.yardsticks import YARDSTICKS

PSN, LOOP_NAME = "SpikingJelly PSN", "plain loop"

BYTES = 20
"""Fewest bytes an element of the neuron: read x, write s; read g and x, write dx."""
RECURRENCE_BYTES = 32
"""Of the recurrence: read x and alpha, write s; read g, x and alpha, write both gradients."""


def neuron(shape: Shape) -> DSN:
    """The same neurons for all contenders."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return DSN(shape.features, alpha_start=0.9).to(shape.device)


def ours(shape: Shape) -> Run:
    """With the gradients of the parameters, as it is trained."""
    dsn = neuron(shape)
    x, g = inputs(shape)
    x = leaf(x)

    def run() -> Outputs:
        return differentiate(dsn(x)[0], g, (x, dsn.weight, dsn.bias))

    return run


def loop(shape: Shape) -> Run:
    """The neuron with convolution and decay over the whole sequence at once, then the loop."""
    dsn = neuron(shape)
    x, g = inputs(shape)
    x = leaf(x)

    def run() -> Outputs:
        alpha = loops.dsn_decay(x, dsn.weight, dsn.bias, 1 / dsn.tau)
        spikes, _ = loops.dsn(x, alpha, levels=dsn.levels, fused=True)
        return differentiate(spikes, g, (x, dsn.weight, dsn.bias))

    return run


def check(shape: Shape, runs: Runs) -> str:
    """Spikes equal to those of the loop where its membrane is not on the edge of a threshold.

    The kernel has its own exponential, so the decay differs in its last bits.
    """
    dsn = neuron(shape)
    x, g = inputs(shape)
    x = leaf(x)
    alpha = loops.dsn_decay(x, dsn.weight, dsn.bias, 1 / dsn.tau)
    spikes, membrane = loops.dsn(x, alpha, levels=dsn.levels)
    looped = differentiate(spikes, g, (x, dsn.weight, dsn.bias))
    found = runs[OURS]()
    said = same(found, looped, who="the float32 loop", spikes=1e-3, gradient=1e-3)
    off = (membrane - membrane.floor() - 0.5).abs()[found[0] != looped[0]]
    if bool((off > 1e-5).any()):
        raise Wrong(f"{said}, one of them {float(off.max()):.1e} off a threshold")
    return f"{said}, all within 1e-5 of a threshold" if len(off) else said


def decay(shape: Shape) -> Tensor:
    """A decay for each step (B, T, D), uniform in [0.5, 1]."""
    size = (shape.batch, shape.steps, shape.features)
    generator = torch.Generator().manual_seed(1)
    return torch.rand(size, generator=generator).mul_(0.5).add_(0.5).to(shape.device)


def recurrence(shape: Shape) -> Run:
    x, g = inputs(shape)
    x, alpha = leaf(x), leaf(decay(shape))

    def run() -> Outputs:
        return differentiate(ops.dsn(x, alpha).spikes, g, (x, alpha))

    return run


def recurrence_loop(shape: Shape) -> Run:
    x, g, alpha = (t.transpose(0, 1).contiguous() for t in (*inputs(shape), decay(shape)))
    x, alpha = leaf(x), leaf(alpha)

    def run() -> Outputs:
        spikes, _ = loops.dsn(x, alpha, fused=True, dim=0)
        return tuple(t.transpose(0, 1) for t in differentiate(spikes, g, (x, alpha)))

    return run


def check_recurrence(shape: Shape, runs: Runs) -> str:
    """Spikes equal to those of the loop that rounds as ours, all of them."""
    x, g = inputs(shape)
    x, alpha = leaf(x), leaf(decay(shape))
    spikes, _ = loops.dsn(x, alpha)
    # The fused loop may round its one operation otherwise.
    looped = differentiate(spikes, g, (x, alpha))
    return with_loop(runs, looped, {LOOP_NAME: 1e-4}, gradient=1e-4)


NEURON = Contender(OURS, ours, setting="DSN with its convolution and gradients of its parameters")
JELLY_PSN = Contender(
    PSN,
    spikingjelly.psn,
    peer="spikingjelly",
    setting="one T x T product, (T, B, D) contiguous, with gradients of its parameters",
    at_most=3,
    most_steps=16384,
)
LOOP = Contender(LOOP_NAME, loop, setting="DSN in torch operations", at_most=3)


def _recurrence(name: str, title: str, shape: Shape, quick: Shape, *goal: float) -> Case:
    return Case(
        name,
        title,
        shape,
        quick,
        check_recurrence,
        (
            Contender(OURS, recurrence, setting="ops.dsn with the decay given"),
            Contender(
                LOOP_NAME,
                recurrence_loop,
                setting="one addcmul a step, the rest for all steps at once, (T, B, D)",
                at_most=5,
            ),
            *YARDSTICKS,
        ),
        goals=(faster(LOOP_NAME, required=goal[0], stretch=goal[1]),),
        bytes_an_element=RECURRENCE_BYTES,
    )


CASES = (
    _recurrence(
        "dsn-recurrence",
        "DSN recurrence against a loop",
        Shape(16384, 64, 128),
        Shape(512, 8, 128),
        5,
        8,
    ),
    _recurrence(
        "dsn-recurrence-narrow",
        "DSN recurrence against a loop, one sequence",
        Shape(16384, 1, 128),
        Shape(1024, 1, 128),
        100,
        150,
    ),
    Case(
        "dsn-psn",
        "DSN neuron against PSN",
        Shape(16384, 8, 128),
        Shape(1024, 2, 128),
        check,
        (NEURON, JELLY_PSN, *YARDSTICKS),
        goals=(faster(PSN, required=25.6, stretch=75),),
        bytes_an_element=BYTES,
    ),
)
