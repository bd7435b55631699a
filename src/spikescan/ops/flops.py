"""Formulas for ``torch.utils.flop_counter.FlopCounterMode``; importing this module registers them.

It counts products of matrices and nothing elementwise, so that scans count zero, as their loops in
torch do. A product of spikes counts as the dense product that it stands for, twice N M K: what is
really added depends on the spikes. State-space models count as the products of their chunks. The
first call of either after torch's module was loaded imports this one; nothing imports torch's by
itself, since that loads Triton where it is installed.

>>> import spikescan
>>> from torch.utils.flop_counter import FlopCounterMode
>>> with FlopCounterMode(display=False) as counter:
...     _ = spikescan.ops.spike_linear(torch.ones(5, 3), torch.ones(7, 3))
>>> counter.get_total_flops()
210
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, flop_registry, register_flop_formula

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
    weight: Shape,
    half: bool,
    want_gs: bool,
    want_gweight: bool,
    *_: Any,
    **__: Any,
) -> int:
    """Of the gradients of its spikes and of its weight."""
    return 2 * gy[0] * weight[0] * weight[1] * (want_gs + want_gweight)


@register_flop_formula(torch.ops.spikescan.ssm_forward)
def ssm_forward(
    x: Shape,
    weights: Shape,
    h0: Shape | None,
    lengths: Shape | None,
    states: int,
    chunk: int,
    dense: bool,
    *_: Any,
    **__: Any,
) -> int:
    """Of the taps, of what goes to the state and comes from it, and of the state's own step."""
    step = states * (states if dense else 2)
    return x[0] * x[1] * x[2] * (chunk + 1 + 4 * states) + 2 * x[0] * x[1] // chunk * x[2] * step


@register_flop_formula(torch.ops.spikescan.ssm_backward)
def ssm_backward(
    x: Shape,
    weights: Shape,
    checkpoints: Shape,
    lengths: Shape | None,
    gy: Shape | None,
    gh: Shape | None,
    states: int,
    chunk: int,
    dense: bool,
    reverse: bool,
    want_gweights: bool,
    *_: Any,
    **__: Any,
) -> int:
    """Of the same for the input and, if wanted, for the weights."""
    return (1 + want_gweights) * ssm_forward(x, weights, None, None, states, chunk, dense)


_FORMULAS = {
    "spike_linear_forward": forward,
    "spike_linear_backward": backward,
    "ssm_forward": ssm_forward,
    "ssm_backward": ssm_backward,
}


def _join(mode: Any, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """Count an operator in a mode that was made, with a copy of torch's formulas, before ours."""
    packet = func.overloadpacket
    mode.counter.flop_registry.setdefault(packet, flop_registry[packet])
    return mode.__torch_dispatch__(func, types, args, kwargs)


with FlopCounterMode(display=False) as _counter:
    for _name in _FORMULAS:
        torch.library.register_torch_dispatch(f"spikescan::{_name}", type(_counter.mode), _join)
