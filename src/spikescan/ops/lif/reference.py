"""LIF as the obvious loop over time: the oracle of all tests."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops.surrogate import Surrogate


def lif(
    x: Tensor,
    beta: Tensor,
    v0: Tensor,
    lengths: Tensor | None,
    threshold: Tensor | float,
    reset: str,
    v_reset: Tensor | float,
    detach_reset: bool,
    surrogate: Surrogate,
) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes (B, T, D), membrane before reset (B, T, D) and final state (B, D)."""
    v, spikes, membrane = v0, [], []
    # Taken apart once: x[:, t] would make each backward step fill a gradient as large as x.
    for t, x_t in enumerate(x.unbind(1)):
        valid = None if lengths is None else (t < lengths)[:, None]
        x_t = x_t if valid is None else torch.where(valid, x_t, 0)
        u = beta * v + x_t
        s = surrogate(u - threshold)
        r = s.detach() if detach_reset else s
        if reset == "soft":
            after = u - threshold * r
        elif reset == "hard":
            after = _jump(u, r, v_reset)
        else:
            after = u
        if valid is not None:
            after = torch.where(valid, after, v)
            s, u = torch.where(valid, s, 0), torch.where(valid, u, 0)
        v = after
        spikes.append(s)
        membrane.append(u)
    if not spikes:
        return x.clone(), x.clone(), v0.clone()
    return torch.stack(spikes, 1), torch.stack(membrane, 1), v


def _jump(u: Tensor, r: Tensor, v_reset: Tensor | float) -> Tensor:
    """u (1 - r) + v_reset r, with the gradients of that, and without 0 * inf in it."""
    slope = v_reset - torch.where(u.isinf(), 0, u)
    return torch.where(r > 0, v_reset, u) + slope * (r - r.detach())
