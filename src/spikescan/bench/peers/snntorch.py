"""snnTorch: one call a step."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import torch
from torch import Tensor

from spikescan.bench.case import Outputs, Run, Shape
from spikescan.bench.inputs import differentiate, leaf, time_first


def leaky(shape: Shape) -> Run:
    """``Leaky`` in its own loop, with the defaults that cost least.

    The reset comes one step late (``reset_delay=True``): without the delay each step computes it
    twice. So it is another neuron than ours by that step, timed and not compared. Its parallel
    neuron (``LeakyParallel``) has no reset at all and is no alternative.
    """
    layer = leaky_layer()
    x, g = time_first(shape)
    x, g = leaf(x.flatten(1)), g.flatten(1)

    def run() -> Outputs:
        return differentiate(layer(x), g, (x,))

    return run


def leaky_layer() -> Callable[[Tensor], Tensor]:
    """The same for sequences (T, ...), from rest at each call."""
    snn = importlib.import_module("snntorch")
    node = snn.Leaky(beta=0.5, threshold=1.0, reset_mechanism="subtract")

    def layer(x: Tensor) -> Tensor:
        v, spikes = torch.zeros_like(x[0]), []
        for x_t in x.unbind(0):
            s, v = node(x_t, v)
            spikes.append(s)
        return torch.stack(spikes)

    return layer
