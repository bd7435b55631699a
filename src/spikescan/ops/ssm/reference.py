"""State-space models as the obvious loop over time: the oracle of all tests."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops.ssm.system import Diagonal, LowRank, lanes


def ssm(
    x: Tensor,
    system: Diagonal | LowRank,
    h0: Tensor | None,
    lengths: Tensor | None,
    skip: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Outputs (B, T, D) and, of a causal system, the state (B, D, N) after the last valid step."""
    a, b = (t.to(x.dtype) for t in system.matrices())
    c = lanes(2 * system.c.conj()).to(x.dtype)
    h = x.new_zeros(x.shape[0], *b.shape) if h0 is None else h0
    # Taken apart once: x[:, t] would make each backward step fill a gradient as large as x.
    steps, outputs = x[..., None].unbind(1), []
    for t, x_t in enumerate(steps):
        now = torch.einsum("dnm,bdm->bdn", a, h) + b * x_t
        outputs.append((c * now).sum(-1))
        h = now if lengths is None else torch.where((t < lengths)[:, None, None], now, h)
    y = torch.stack(outputs, 1) if outputs else x.clone()
    if system.c_back is not None:
        c = lanes(2 * system.c_back.conj()).to(x.dtype)
        g, outputs = torch.zeros_like(h), []
        for x_t in reversed(steps):
            outputs.append((c * g).sum(-1))
            g = torch.einsum("dnm,bdm->bdn", a, g) + b * x_t
        y = y + torch.stack(outputs[::-1], 1) if outputs else y
    if skip is not None:
        y = y + skip * x
    return y, h.clone() if system.c_back is None else None
