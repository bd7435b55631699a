"""The oscillator's coefficients from its time step, frequency and time constant."""

from __future__ import annotations

import torch
from torch import Tensor


def coefficients(
    delta: Tensor, theta: Tensor, tau: Tensor | float, dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Real form of the oscillator: p = Re a, q = Im a and the input gain, each (D,).

    :math:`a = \exp(\Delta(-1/\tau + i\theta))`, computed in float64 so that :math:`|a|` near one
    keeps its digits, then rounded once to ``dtype`` (by default that of ``delta``); towards zero
    where :math:`|a|` would exceed one.
    """
    wide = torch.float64
    tau = torch.as_tensor(tau, device=delta.device, dtype=wide).expand_as(delta)
    exact = table(torch.stack((delta.to(wide), theta.to(wide), tau)))
    p, q, gain = rounded(exact, dtype or delta.dtype)
    return p, q, gain


def table(parameters: Tensor) -> Tensor:
    """Rows p, q, gain (3, D) from rows delta, theta, tau (3, D), all in float64."""
    delta, theta, tau = parameters.unbind(0)
    decay, angle = torch.exp(-delta / tau), delta * theta
    return torch.stack((decay * torch.cos(angle), decay * torch.sin(angle), delta))


def rounded(exact: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows p, q, gain in ``dtype``; p and q one step towards zero where |p + iq| would exceed 1.

    To nearest, some would: of frequencies 0.7 % from tau / delta = 3e7 on in float32, and their
    states would grow.
    """
    near = exact.to(dtype)
    turn = near[:2].detach()
    over = turn.double().square().sum(0) > 1
    inward = torch.nextafter(turn, torch.zeros_like(turn)) - turn
    return torch.cat((near[:2] + torch.where(over, inward, 0), near[2:]))


def table_gradient(parameters: Tensor, rows: Tensor, sums: Tensor) -> Tensor:
    """Gradient of the parameters of :func:`table` from that of its rows, (3, D) float64.

    With conj(g) a = u + i w: dL/dDelta = theta w - u/tau + dL/dgain, dL/dtheta = Delta w,
    dL/dtau = u Delta/tau^2.
    """
    delta, theta, tau = parameters.unbind(0)
    (p, q, _), (gp, gq, gain) = rows.unbind(0), sums.unbind(0)
    u, w = gp * p + gq * q, gq * p - gp * q
    return torch.stack((theta * w - u / tau + gain, delta * w, u * delta / tau.square()))
