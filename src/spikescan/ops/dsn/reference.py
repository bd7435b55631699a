"""Dynamic decay as the obvious loop over time: the oracle of all tests."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.history import with_history
from spikescan.ops._core.standin import stand_in
from spikescan.ops.surrogate import Surrogate


def dsn(
    x: Tensor,
    alpha: Tensor,
    h0: Tensor,
    lengths: Tensor | None,
    levels: int,
    surrogate: Surrogate | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes and membrane (B, T, D), final state (B, D)."""
    h, spikes, membrane = h0, [], []
    # Taken apart once: x[:, t] would make each backward step fill a gradient as large as x.
    for t, (x_t, decay) in enumerate(zip(x.unbind(1), alpha.unbind(1), strict=True)):
        if lengths is None:
            h = now = decay * h + (1 - decay) * x_t
            s = fire(now, levels, surrogate)
        else:
            valid = (t < lengths)[:, None]
            x_t, decay = torch.where(valid, x_t, 0), torch.where(valid, decay, 0)
            now = decay * h + (1 - decay) * x_t
            s = torch.where(valid, fire(now, levels, surrogate), 0)
            h, now = torch.where(valid, now, h), torch.where(valid, now, 0)
        spikes.append(s)
        membrane.append(now)
    if not spikes:
        return x.clone(), x.clone(), h0.clone()
    return torch.stack(spikes, 1), torch.stack(membrane, 1), h.clone()


def dsn_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    h0: Tensor,
    inputs: Tensor,
    lengths: Tensor | None,
    exponent: float,
    levels: int,
    surrogate: Surrogate | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes and membrane (B, T, D), final state (B, D), last inputs (B, k - 1, D)."""
    alpha, last = decays(x, weight, bias, inputs, lengths, exponent)
    return *dsn(x, alpha, h0, lengths, levels, surrogate), last


def decays(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    inputs: Tensor,
    lengths: Tensor | None,
    exponent: float,
) -> tuple[Tensor, Tensor]:
    """The decay at every step (B, T, D) and the last inputs (B, k - 1, D)."""
    padded, last = with_history(x, inputs, lengths)
    c = bias.expand_as(x)
    for i, taps in enumerate(weight.unbind(1)):
        c = c + taps * padded[:, i : i + x.shape[1]]
    return torch.sigmoid(c) ** exponent, last


def fire(h: Tensor, levels: int, surrogate: Surrogate | None) -> Tensor:
    """How many of the thresholds 1/2, 3/2, .. levels - 1/2 the membrane reaches."""
    if surrogate is None:
        return stand_in(
            h,
            lambda h: sum(((h >= n + 0.5).to(h.dtype) for n in range(levels)), torch.zeros_like(h)),
            lambda g, h: g * ((h >= 0) & (h <= levels)),
        )
    spikes = surrogate(h - 0.5)
    for n in range(1, levels):
        spikes = spikes + surrogate(h - (n + 0.5))
    return spikes
