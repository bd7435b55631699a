"""The linear scan as the obvious loop over time: the oracle of all tests."""

from __future__ import annotations

import torch
from torch import Tensor


def linear_scan(a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """All states (B, T, D) and the last (B, D)."""
    h, states = h0, []
    # Taken apart once: b[:, t] would make each backward step fill a gradient as large as b.
    decays = a.unbind(1) if a.ndim == 3 else (a,) * b.shape[1]
    for t, (a_t, b_t) in enumerate(zip(decays, b.unbind(1), strict=True)):
        if lengths is None:
            h = a_t * h + b_t
            states.append(h)
        else:
            valid = (t < lengths)[:, None]
            if a.ndim == 3:
                a_t = torch.where(valid, a_t, 0)
            now = a_t * h + torch.where(valid, b_t, 0)
            h = torch.where(valid, now, h)
            states.append(torch.where(valid, now, 0))
    return (torch.stack(states, 1) if states else b.clone()), h.clone()
