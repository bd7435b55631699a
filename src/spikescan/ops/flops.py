"""Formulas for ``torch.utils.flop_counter.FlopCounterMode``; importing this module registers them.

It counts products of matrices and nothing elementwise, so that scans count zero, as their loops in
torch do. A product of spikes counts as the dense product that it stands for, twice N M K: what is
really added depends on the spikes. ``import spikescan`` does this by itself only if torch's module
is loaded already, since that loads Triton where it is installed.

>>> from torch.utils.flop_counter import FlopCounterMode
>>> import spikescan.ops.flops
>>> with FlopCounterMode(display=False) as counter:
...     _ = spikescan.ops.spike_linear(torch.ones(5, 3), torch.ones(7, 3))
>>> counter.get_total_flops()
210
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula

from spikescan.ops.spike_linear import cpu as _operators  # noqa: F401

Shape = tuple[int, ...]


@register_flop_formula(torch.ops.spikescan.spike_linear_forward)
def forward(s: Shape, weight: Shape, *_: Any, **__: Any) -> int:
    """Of a product of spikes (N, K) with a weight (M, K)."""
    return 2 * s[0] * weight[0] * weight[1]


@register_flop_formula(torch.ops.spikescan.spike_linear_backward)
def backward(
    s: Shape | None,
    bits: Shape,
    odd: Shape,
    gy: Shape,
    K: int,
    want_gweight: bool,
    *_: Any,
    **__: Any,
) -> int:
    """Of the gradient of its weight; that of the spikes is torch's own product."""
    return 2 * gy[0] * gy[1] * K if want_gweight else 0
