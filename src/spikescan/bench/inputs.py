"""Tensors that all contenders of a case share, and the step they all time."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from spikescan.bench.case import Outputs, Shape
from spikescan.neurons import PRF

PAPER_PRF = partial(PRF, theta_max=2 * math.pi, dt_min=1e-3, dt_max=0.1, tau=2.0)
"""With the paper's start values, which the suite's currents and thresholds go with."""


@functools.lru_cache(maxsize=1)
def inputs(shape: Shape) -> tuple[Tensor, Tensor]:
    """Input current, uniform in [0, 0.8], and gradient of the spikes, normal: (B, T, D) each.

    The same for all who ask for a shape. The current makes the neurons of the suite fire at
    some percent to a third of the steps, neither silent nor saturated.
    """
    generator = torch.Generator().manual_seed(0)
    size = (shape.batch, shape.steps, shape.features)
    x = torch.rand(size, generator=generator).mul_(0.8)
    g = torch.randn(size, generator=generator)
    return x.to(shape.device), g.to(shape.device)


def leaf(x: Tensor) -> Tensor:
    """The same memory as a tensor whose gradient is asked for."""
    return x.detach().requires_grad_()


@functools.lru_cache(maxsize=1)
def time_first(shape: Shape) -> tuple[Tensor, Tensor]:
    """The inputs as contiguous (T, B, D), for libraries whose layout that is."""
    x, g = (t.transpose(0, 1).contiguous() for t in inputs(shape))
    return leaf(x), g


@functools.lru_cache(maxsize=1)
def time_last(shape: Shape) -> tuple[Tensor, Tensor]:
    """The inputs as contiguous (B, D, T), the fastest layout for Fourier transforms over time."""
    x, g = (t.transpose(1, 2).contiguous() for t in inputs(shape))
    return leaf(x), g


def forget() -> None:
    """Give the memory of the inputs back."""
    for cached in (inputs, time_first, time_last):
        cached.cache_clear()


def differentiate(spikes: Tensor, g: Tensor, leaves: Sequence[Tensor]) -> Outputs:
    """Run the backward pass; return spikes and gradients.

    ``torch.autograd.grad`` hands the gradients over as they are: no contender pays for their
    accumulation into ``.grad``.
    """
    return (spikes.detach(), *torch.autograd.grad(spikes, leaves, g))
