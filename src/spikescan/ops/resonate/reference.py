"""Resonate-and-fire as the obvious loop over time: the oracle of all tests."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops.surrogate import Surrogate


def resonate(
    x: Tensor,
    p: Tensor,
    q: Tensor,
    gain: Tensor,
    u0: Tensor,
    r0: Tensor,
    lengths: Tensor | None,
    threshold: Tensor | float,
    surrogate: Surrogate,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes and membrane (B, T, D), final u and r (B, D)."""
    u, r, spikes, membrane = u0, r0, [], []
    # Taken apart once: x[:, t] would make each backward step fill a gradient as large as x.
    for t, x_t in enumerate(x.unbind(1)):
        valid = None if lengths is None else (t < lengths)[:, None]
        x_t = x_t if valid is None else torch.where(valid, x_t, 0)
        u_t = (p * u - q * r) + gain * x_t
        r_t = q * u + p * r
        s = surrogate(u_t - threshold)
        if valid is None:
            u, r, out = u_t, r_t, u_t
        else:
            u, r = torch.where(valid, u_t, u), torch.where(valid, r_t, r)
            s, out = torch.where(valid, s, 0), torch.where(valid, u_t, 0)
        spikes.append(s)
        membrane.append(out)
    if not spikes:
        return x.clone(), x.clone(), u0.clone(), r0.clone()
    return torch.stack(spikes, 1), torch.stack(membrane, 1), u, r
