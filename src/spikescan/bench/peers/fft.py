"""PRF as a convolution over the whole sequence, the parallel form that its paper trains with.

Time is the last, contiguous axis (B, D, T): transforms over it are about one and a half times
faster than over the middle axis of (B, T, D), and the caller's input is given in this layout.
Lengths are powers of two in all our cases, so 2T needs no better padding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan import PRF
from spikescan.bench.peers.loops import oscillator
from spikescan.ops.surrogate import ATan


def prf_complex(x: Tensor, neuron: PRF) -> Tensor:
    """Spikes (B, D, T) by a complex FFT of length 2T of the input and of the kernel Δ a^j.

    The published way (Huang et al. 2024, arXiv 2410.03530, Algorithm 3): the membrane is the real
    part of the inverse transform of the product.
    """
    log_a, gain = _log_powers(x, neuron)
    n = 2 * x.shape[-1]
    kernel = gain[:, None] * torch.exp(log_a).to(torch.complex64)
    product = torch.fft.fft(x, n) * torch.fft.fft(kernel, n)
    membrane = torch.fft.ifft(product)[..., : x.shape[-1]].real
    return ATan()(membrane - neuron.threshold)


def prf_real(x: Tensor, neuron: PRF) -> Tensor:
    """Spikes (B, D, T) by a real FFT of length 2T: only the kernel's real part reaches the
    membrane, which halves the transforms."""
    log_a, gain = _log_powers(x, neuron)
    n = 2 * x.shape[-1]
    kernel = gain[:, None] * (log_a.real.exp() * log_a.imag.cos()).to(x.dtype)
    product = torch.fft.rfft(x, n) * torch.fft.rfft(kernel, n)
    membrane = torch.fft.irfft(product, n)[..., : x.shape[-1]]
    return ATan()(membrane - neuron.threshold)


def _log_powers(x: Tensor, neuron: PRF) -> tuple[Tensor, Tensor]:
    """j log a (D, T) for j = 0..T-1, and the input's gain (D,).

    In complex128: in float32 the phase of the last of 16,384 powers would have lost four digits.
    It costs next to nothing, there is one kernel for the whole batch.
    """
    decay, angle, gain = oscillator(neuron)
    j = torch.arange(x.shape[-1], device=x.device, dtype=torch.float64)
    return torch.complex(decay, angle)[:, None] * j, gain
