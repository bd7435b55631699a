"""The product of spikes with a weight matrix against the dense product, by firing rate."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from spikescan.bench.case import OURS, Case, Contender, Outputs, Run, Runs, Shape, Wrong, faster
from spikescan.bench.compare import relative_error
from spikescan.bench.inputs import differentiate, inputs
from spikescan.ops import spike_linear

RATES = (0.02, 0.1, 0.5, 1.0)
USUAL = 0.3
"""Firing rate of a trained network, at which the case is judged."""
DENSE = "torch linear"


def name(rate: float) -> str:
    return OURS if rate == USUAL else f"{OURS}, {rate:.0%} fire"


def spikes(shape: Shape, rate: float) -> Tensor:
    """Random spikes (B, T, D) at that rate."""
    x, _ = inputs(shape)
    return (x < 0.8 * rate).to(x.dtype)


def _pass(shape: Shape, rate: float, *, dense: bool = False) -> Run:
    """Forward, weight gradient and bias gradient; the spikes' own gradient is dense for both."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(shape.features, shape.features, generator=generator).requires_grad_()
    bias = torch.randn(shape.features, generator=generator).requires_grad_()
    s, (_, g) = spikes(shape, rate), inputs(shape)
    multiply = F.linear if dense else spike_linear

    def run() -> Outputs:
        return differentiate(multiply(s, weight, bias), g, (weight, bias))

    return run


def check(shape: Shape, runs: Runs) -> str:
    """Result and gradients as those of the dense product."""
    pairs = zip(runs[OURS](), runs[DENSE](), strict=True)
    worst = max(relative_error(a, b) for a, b in pairs)
    said = f"result and gradients within {worst:.1e} of the dense product"
    if not worst <= 1e-5:
        raise Wrong(said)
    return said


CASES = (
    Case(
        "spike-product",
        f"product of spikes with a weight matrix, {USUAL:.0%} of them firing",
        Shape(784, 128, 128),
        Shape(196, 16, 128),
        check,
        (
            Contender(OURS, partial(_pass, rate=USUAL), setting="forward, weight, bias gradient"),
            Contender(DENSE, partial(_pass, rate=USUAL, dense=True), setting="the same, dense"),
            *(
                Contender(name(rate), partial(_pass, rate=rate), setting="the same")
                for rate in RATES
            ),
        ),
        goals=(faster(DENSE, required=1.0, stretch=2.0),),
    ),
)
