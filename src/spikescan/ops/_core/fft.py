"""Causal convolution over time by real FFT, for the published parallel forms."""

from __future__ import annotations

import torch
from torch import Tensor


def powers(a: Tensor, count: int) -> Tensor:
    """a^0 .. a^(count-1) as (count, D), from magnitude and phase in float64.

    Repeated multiplication in float32 would drift for |a| near one.
    """
    steps = torch.arange(count, device=a.device)[:, None]
    wide = a.to(torch.complex128 if a.is_complex() else torch.float64)
    return torch.where(steps == 0, torch.ones_like(wide), wide**steps).to(a.dtype)


def causal_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """y_t = sum_{j<=t} kernel_j x_{t-j} for x (B, T, D) and kernel (T, D), both real."""
    steps = x.shape[1]
    if steps == 0:
        return x.clone()
    n = 2 * steps
    product = torch.fft.rfft(x, n, dim=1) * torch.fft.rfft(kernel, n, dim=0)
    return torch.fft.irfft(product, n, dim=1)[:, :steps]
