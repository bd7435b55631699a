"""LIF with soft reset as the PRF paper computes it: a convolution and a scan of thresholds.

Kept for comparison. Without reset the potential grows towards x / (1 - beta), where float32 no
longer resolves the threshold, and one spike that differs changes all that follow; the sequential
kernel is exact and faster.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.fft import causal_convolution, powers
from spikescan.ops.surrogate import Surrogate


def lif(
    x: Tensor,
    beta: Tensor,
    v0: Tensor,
    threshold: Tensor | float,
    detach_reset: bool,
    surrogate: Surrogate,
) -> tuple[Tensor, Tensor, Tensor]:
    """Algorithms 1 and 2 of Huang et al. 2024 (arXiv 2410.03530).

    w_t = beta w_{t-1} + x_t by FFT; A_t = beta (A_{t-1} + s_{t-1}); u_t = w_t - V A_t.
    """
    steps = x.shape[1]
    decay = powers(beta, steps + 1)  # (T + 1, D): beta^0 .. beta^T
    w = causal_convolution(x, decay[:-1]) + decay[1:] * v0[:, None]
    a, spikes, membrane = torch.zeros_like(v0), [], []
    for w_t in w.unbind(1):
        u = w_t - threshold * a
        s = surrogate(u - threshold)
        a = beta * (a + (s.detach() if detach_reset else s))
        spikes.append(s)
        membrane.append(u)
    if not spikes:
        return x.clone(), x.clone(), v0.clone()
    last = spikes[-1].detach() if detach_reset else spikes[-1]
    v = membrane[-1] - threshold * last
    return torch.stack(spikes, 1), torch.stack(membrane, 1), v
