"""The oscillator's coefficients from its time step, frequency and time constant."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan.ops.operator import operator


def coefficients(
    delta: Tensor, theta: Tensor, tau: Tensor | float, dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Real form of the oscillator: p = Re a, q = Im a and the input gain, each (D,).

    :math:`a = \exp(\Delta(-1/\tau + i\theta))`, computed in float64 so that :math:`|a|` near one
    keeps its digits, then rounded once to ``dtype`` (by default that of ``delta``).
    """
    wide = torch.float64
    step, angle = delta.to(wide), delta.to(wide) * theta.to(wide)
    decay = torch.exp(-step / torch.as_tensor(tau, device=delta.device, dtype=wide))
    dtype = dtype or delta.dtype
    p, q = decay * torch.cos(angle), decay * torch.sin(angle)
    return p.to(dtype), q.to(dtype), step.to(dtype)


@operator("resonate_coefficients", ("cpu", "cuda"))
def fused_coefficients(
    delta: Tensor, theta: Tensor, tau: Tensor, double: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`coefficients` of float64 tensors as one operator: a dozen tiny ones, forward and
    back, cost more time than a small scan."""
    p, q, gain = coefficients(delta, theta, tau, torch.float64 if double else torch.float32)
    # An operator may not return what it was given.
    return p, q, gain.clone() if double else gain


@fused_coefficients.register_fake
def _(delta: Tensor, theta: Tensor, tau: Tensor, double: bool) -> tuple[Tensor, ...]:
    dtype = torch.float64 if double else torch.float32
    return tuple(torch.empty_like(delta, dtype=dtype) for _ in range(3))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:3], *output[:2])


def _backward(ctx: Any, gp: Tensor, gq: Tensor, gain: Tensor) -> tuple[Tensor | None, ...]:
    """With conj(g) a = u + i w: dL/dDelta = -u/tau + theta w, dL/dtheta = Delta w,
    dL/dtau = u Delta/tau^2."""
    delta, theta, tau, p, q = ctx.saved_tensors
    u, w = gp * p + gq * q, gq * p - gp * q
    rate = u / tau
    g_tau = delta * rate / tau if ctx.needs_input_grad[2] else None
    return theta * w - rate + gain, delta * w, g_tau, None


fused_coefficients.register_autograd(_backward, setup_context=_setup)
