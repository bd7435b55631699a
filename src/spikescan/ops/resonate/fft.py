"""Resonate-and-fire as a convolution over time, computed by FFT with the real kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.fft import causal_convolution, powers
from spikescan.ops.surrogate import Surrogate


def resonate(
    x: Tensor,
    delta: Tensor,
    theta: Tensor,
    tau: Tensor,
    u0: Tensor,
    r0: Tensor,
    threshold: Tensor | float,
    surrogate: Surrogate,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes and membrane (B, T, D), final u and r (B, D)."""
    steps = x.shape[1]
    if steps == 0:
        return x.clone(), x.clone(), u0.clone(), r0.clone()
    a = torch.exp(torch.complex(-delta / tau, delta * theta))
    free = powers(a, steps + 1)  # (T + 1, D): a^0 .. a^T
    real, imag = free.real.to(x.dtype), free.imag.to(x.dtype)
    gain = delta.to(x.dtype)
    membrane = causal_convolution(x, gain * real[:-1])
    membrane = membrane + (real[1:] * u0[:, None] - imag[1:] * r0[:, None])
    # The imaginary part is needed at the last step only: one weighted sum over time.
    r = gain * (x * imag[:-1].flip(0)).sum(1) + (imag[-1] * u0 + real[-1] * r0)
    return surrogate(membrane - threshold), membrane, membrane[:, -1], r
