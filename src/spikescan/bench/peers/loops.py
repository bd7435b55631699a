"""The neurons as plain loops over time in torch: what one writes first, and our yardstick of truth.

``unbind`` takes the steps apart once; indexing ``x[:, t]`` instead would make each backward step
write a gradient of the whole sequence.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan import PRF
from spikescan.ops.surrogate import ATan


def lif(x: Tensor, beta: Tensor | float, *, reset: str = "soft", dim: int = 1) -> Tensor:
    """LIF with threshold 1 and a detached reset; ``dim`` is that of time."""
    fire = ATan()
    v = torch.zeros_like(x.select(dim, 0))
    spikes = []
    for x_t in x.unbind(dim):
        u = beta * v + x_t
        s = fire(u - 1)
        spikes.append(s)
        v = u - s.detach() if reset == "soft" else u * (1 - s.detach())
    return torch.stack(spikes, dim)


def oscillator(neuron: PRF) -> tuple[Tensor, Tensor, Tensor]:
    """log |a| and arg a of PRF in float64, and the input's gain in float32, each (D,)."""
    delta = neuron.delta
    step = delta.double()
    return -step / neuron.tau.double(), step * neuron.theta.double(), delta


def prf(x: Tensor, neuron: PRF, *, dim: int = 1) -> Tensor:
    """PRF in the arithmetic of real numbers; ``dim`` is that of time."""
    fire = ATan()
    decay, angle, gain = oscillator(neuron)
    p = (decay.exp() * angle.cos()).to(x.dtype)
    q = (decay.exp() * angle.sin()).to(x.dtype)
    u = r = torch.zeros_like(x.select(dim, 0))
    spikes = []
    for x_t in x.unbind(dim):
        u, r = (p * u - q * r) + gain * x_t, q * u + p * r
        spikes.append(fire(u - neuron.threshold))
    return torch.stack(spikes, dim)


def dsn(
    x: Tensor, alpha: Tensor, *, levels: int = 4, fused: bool = False, dim: int = 1
) -> tuple[Tensor, Tensor]:
    """Dynamic decay: spikes and membrane; ``dim`` is that of time.

    ``fused`` is the loop at its best: the input's share for all steps at once, and then one
    operation a step, which rounds otherwise. Nothing resets, so the spikes come after the loop.
    """
    h = torch.zeros_like(x.select(dim, 0))
    membrane = []
    if fused:
        charge = (1 - alpha) * x
        for a_t, c_t in zip(alpha.unbind(dim), charge.unbind(dim), strict=True):
            h = torch.addcmul(c_t, a_t, h)
            membrane.append(h)
    else:
        for a_t, x_t in zip(alpha.unbind(dim), x.unbind(dim), strict=True):
            h = a_t * h + (1 - a_t) * x_t
            membrane.append(h)
    whole = torch.stack(membrane, dim)
    return _Whole.apply(whole, levels), whole.detach()  # type: ignore[return-value]


def dsn_decay(x: Tensor, weight: Tensor, bias: Tensor, exponent: float) -> Tensor:
    """Decay of the DSN from its input (B, T, D): causal convolution, sigmoid, power."""
    taps = weight.shape[1]
    padded = torch.nn.functional.pad(x, (0, 0, taps - 1, 0))
    c = bias.expand_as(x)
    for i in range(taps):
        c = c + weight[:, i] * padded[:, i : i + x.shape[1]]
    return torch.sigmoid(c) ** exponent


class _Whole(torch.autograd.Function):
    """The membrane as a whole number of spikes, with the window from 0 to N as gradient."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(h)
        ctx.levels = levels
        # Around a threshold h - 1/2 is exact, where h + 1/2 would round up to the threshold.
        return torch.floor(h - 0.5).add_(1).clamp_(0, levels)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (h,) = ctx.saved_tensors
        return grads[0] * ((h >= 0) & (h <= ctx.levels)), None
