"""The oscillator's coefficients from its time step, frequency and time constant."""

from __future__ import annotations

import torch
from torch import Tensor


def coefficients(
    delta: Tensor, theta: Tensor, tau: Tensor | float, dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Real form of the oscillator: p = Re a, q = Im a and the input gain, each (D,).

    :math:`a = \exp(\Delta(-1/\tau + i\theta))`, computed in float64 so that :math:`|a|` near one
    keeps its digits, then rounded once to ``dtype`` (by default that of ``delta``).
    """
    tau = torch.as_tensor(tau, device=delta.device, dtype=torch.float64)
    p, q, gain = table(delta, theta, tau, dtype or delta.dtype).unbind(0)
    return p, q, gain


def table(delta: Tensor, theta: Tensor, tau: Tensor, dtype: torch.dtype) -> Tensor:
    """:func:`coefficients` as rows (3, D) of one tensor: p, q, gain."""
    step = delta.double()
    angle = step * theta.double()
    decay = torch.exp(-step / tau.double())
    return torch.stack((decay * torch.cos(angle), decay * torch.sin(angle), step)).to(dtype)


def table_gradients(
    delta: Tensor, theta: Tensor, tau: Tensor, rows: Tensor, sums: Tensor, need_tau: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of delta, theta and tau from those of the rows of :func:`table`, (3, D) float64.

    With conj(g) a = u + i w: dL/dDelta = -u/tau + theta w, dL/dtheta = Delta w,
    dL/dtau = u Delta/tau^2.
    """
    (p, q, _), (gp, gq, gain) = rows.unbind(0), sums.unbind(0)
    u, w = gp * p + gq * q, gq * p - gp * q
    rate = u / tau
    return (
        torch.addcmul(gain - rate, theta, w).to(delta.dtype),
        (delta * w).to(theta.dtype),
        (delta * rate / tau).to(tau.dtype) if need_tau else None,
    )
