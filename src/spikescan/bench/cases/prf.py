"""PRF against its published form by Fourier transforms, and against the memory's speed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spikescan import PRF, ops
from spikescan.bench.case import (
    OURS,
    YARDSTICK,
    Case,
    Contender,
    Outputs,
    Run,
    Runs,
    Shape,
    faster,
    within,
)
from spikescan.bench.compare import with_loop
from spikescan.bench.inputs import PAPER_PRF, differentiate, inputs, leaf, time_first, time_last
from spikescan.bench.peers import fft, loops
from spikescan.bench.peers.yardsticks import YARDSTICKS

COMPLEX, REAL, OUR_REAL = "complex FFT", "real FFT", 'real FFT, impl="fft"'
FROZEN = "spikescan, parameters fixed"

BYTES = 20
"""Fewest bytes an element: read x, write s; read g and x, write dx."""

THRESHOLD = 0.05
"""Low enough that the currents of the suite make the neurons fire."""

Form = Callable[[Tensor, PRF], Tensor]


def neuron(shape: Shape) -> PRF:
    """The same neurons for all contenders."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return PAPER_PRF(shape.features, threshold=THRESHOLD).to(shape.device)


def ours(shape: Shape) -> Run:
    """With the gradients of the parameters, as it is trained."""
    prf = neuron(shape)
    x, g = inputs(shape)
    x = leaf(x)

    def run() -> Outputs:
        return differentiate(prf(x)[0], g, (x, prf.log_delta, prf.log_theta))

    return run


def frozen(shape: Shape) -> Run:
    prf = neuron(shape).requires_grad_(False)
    x, g = inputs(shape)
    x = leaf(x)

    def run() -> Outputs:
        return differentiate(prf(x)[0], g, (x,))

    return run


def our_fft(shape: Shape) -> Run:
    prf = neuron(shape)
    x, g = inputs(shape)
    x = leaf(x)

    def run() -> Outputs:
        out = ops.resonate(
            x, prf.delta, prf.theta, tau=prf.tau, threshold=prf.threshold, impl="fft"
        )
        return differentiate(out.spikes, g, (x, prf.log_delta, prf.log_theta))

    return run


def _transformed(form: Form, shape: Shape) -> Run:
    prf = neuron(shape)
    x, g = time_last(shape)

    def run() -> Outputs:
        s, dx, *rest = differentiate(form(x, prf), g, (x, prf.log_delta, prf.log_theta))
        return (s.transpose(1, 2), dx.transpose(1, 2), *rest)

    return run


def complex_fft(shape: Shape) -> Run:
    return _transformed(fft.prf_complex, shape)


def real_fft(shape: Shape) -> Run:
    return _transformed(fft.prf_real, shape)


def loop(shape: Shape) -> Run:
    prf = neuron(shape)
    x, g = time_first(shape)

    def run() -> Outputs:
        spikes = loops.prf(x, prf, dim=0)
        s, dx, *rest = differentiate(spikes, g, (x, prf.log_delta, prf.log_theta))
        return (s.transpose(0, 1), dx.transpose(0, 1), *rest)

    return run


def check(shape: Shape, runs: Runs) -> str:
    """Spikes equal to those of the loop, all of them.

    A Fourier transform rounds otherwise, so in its forms a few spikes at the threshold differ. No
    spike feeds back, so a gradient differs by rounding only; those of the parameters are sums
    over all elements, which the loop takes in float32.
    """
    share = {COMPLEX: 1e-3, REAL: 1e-3, OUR_REAL: 1e-3}
    return with_loop(runs, loop(shape)(), share, gradient=1e-3)


NEURON = Contender(OURS, ours, setting="PRF, with gradients of its parameters")
FORMS = (
    Contender(
        COMPLEX,
        complex_fft,
        setting="length 2T, as published; (B, D, T) contiguous; with gradients of parameters",
        at_most=5,
    ),
    Contender(
        REAL,
        real_fft,
        setting="length 2T, real kernel; (B, D, T) contiguous; with gradients of parameters",
        at_most=5,
    ),
)
LOOP = Contender("plain loop", loop, setting="PRF in torch operations, (T, B, D)", at_most=3)
_OUR_FORM = Contender(
    OUR_REAL, our_fft, setting="ours, for comparison: (B, T, D); with gradients", at_most=5
)


def _against_fft(steps: int, batch: int, quick: Shape) -> Case:
    return Case(
        f"prf-fft-{steps}",
        f"PRF against its Fourier forms, T={steps:,}",
        Shape(steps, batch, 128),
        quick,
        check,
        (NEURON, *FORMS, _OUR_FORM, *YARDSTICKS),
        goals=(
            faster(COMPLEX, required=30, stretch=50),
            faster(REAL, OUR_REAL, required=15, stretch=30, called="real FFT, the faster"),
        ),
        bytes_an_element=BYTES,
    )


def _floor(name: str, steps: int, quick: int) -> Case:
    fixed = Contender(FROZEN, frozen, setting="without gradients of its parameters")
    return Case(
        name,
        f"PRF against the speed of memory, T={steps:,}",
        Shape(steps, 64, 128),
        Shape(quick, 8, 128),
        check,
        (NEURON, fixed, *YARDSTICKS),
        goals=(within(YARDSTICK, required=1.5, stretch=1.0),),
        bytes_an_element=BYTES,
    )


CASES = (
    _floor("prf-floor", 4096, 512),
    _floor("prf-floor-long", 16384, 1024),
    _against_fft(1024, 64, Shape(128, 8, 128)),
    _against_fft(4096, 64, Shape(256, 8, 128)),
    _against_fft(16384, 16, Shape(512, 4, 128)),
)
