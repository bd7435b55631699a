"""Spikes of the kernels against those of the float32 loop, ten million of them and more."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from spikescan import LIF
from spikescan.bench.case import Case, Goal, Runs, Shape, Wrong
from spikescan.bench.cases import prf
from spikescan.bench.inputs import inputs
from spikescan.bench.peers import loops

_COMPARED, _DIFFER = "spikes compared", "spikes that differ"


def spikes(shape: Shape) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, our spikes, spikes of the loop: time constants from 1.5 steps to a thousand."""
    x, _ = inputs(shape)
    tau = torch.logspace(0.18, 3, shape.features, dtype=torch.float64)
    with torch.no_grad():
        soft, hard = LIF(shape.features, tau=tau), LIF(shape.features, tau=tau, reset="hard")
        yield "LIF, soft reset", soft(x)[0], loops.lif(x, soft.beta.to(x.dtype))
        yield "LIF, hard reset", hard(x)[0], loops.lif(x, hard.beta.to(x.dtype), reset="hard")
        neuron = prf.neuron(shape)
        yield "PRF", neuron(x)[0], loops.prf(x, neuron)


def count(shape: Shape) -> dict[str, float]:
    """Numbers of spikes, and of those that differ.

    Raises:
        Wrong: any differs.
    """
    facts = {_COMPARED: 0.0, _DIFFER: 0.0}
    for name, ours, loop in spikes(shape):
        differ = int((ours != loop).sum())
        total = int(loop.count_nonzero())
        if differ:
            raise Wrong(f"{name}: {differ:,} of {total:,} spikes differ from the float32 loop")
        facts[f"{name}: spikes"] = total
        facts[_COMPARED] += total
        facts[_DIFFER] += differ
    return facts


def check(shape: Shape, runs: Runs) -> str:
    """The count itself is the check."""
    return ""


CASES = (
    Case(
        "spikes-exact",
        "spikes that differ from the float32 loop",
        Shape(16384, 64, 128),
        Shape(1024, 16, 128),
        check,
        facts=count,
        goals=(
            Goal(_COMPARED, lambda m: m[_COMPARED], (_COMPARED,), 1e7),
            Goal(_DIFFER, lambda m: m[_DIFFER], (_DIFFER,), 0, at_least=False),
        ),
    ),
)
