"""What every kernel of the linear scan shares: the shapes of its results, and its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.bypass import Operator
from spikescan.ops._core.cpu.call import fake


def outputs(a: Tensor, b: Tensor, empty: Any) -> tuple[Tensor, Tensor]:
    """All states in the dtype of a and b joined, the last in at least float32."""
    joined = torch.promote_types(a.dtype, b.dtype)
    last = empty((b.shape[0], b.shape[2]), b, validate.accumulator(joined))
    return empty(b.shape, b, joined), last


def gradients(a: Tensor, h: Tensor, need_a: bool, empty: Any) -> tuple[Tensor, ...]:
    """Those of a (for each row in float64 when constant, or empty), of b, of h0."""
    lanes = (h.shape[0], h.shape[2])
    if not need_a:
        ga = empty((0,), h)
    elif a.ndim == 3:
        ga = empty(h.shape, h, a.dtype)
    else:
        ga = empty(lanes, h, torch.float64)
    return ga, empty(h.shape, h), empty(lanes, h, validate.accumulator(h.dtype))


def connect(forward: Operator, backward: Operator) -> None:
    """Make a forward and a backward kernel, with the arguments of cpu.py, one differentiable op."""

    @forward.register_fake
    def _(a: Tensor, b: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        return outputs(a, b, fake)

    @backward.register_fake
    def _(a: Tensor, h: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
        return gradients(a, h, arguments[-1], fake)

    def setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        a, _, h0, lengths, ctx.is_complex = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(a, output[0], h0, lengths)

    def gradient(ctx: Any, g: Tensor | None, gh: Tensor | None) -> tuple[Any, ...]:
        a, h, h0, lengths = ctx.saved_tensors
        need_a = ctx.needs_input_grad[0]
        ga, gb, gh0 = backward(a, h, h0, lengths, g, gh, ctx.is_complex, need_a)
        if not need_a:
            ga = None
        elif a.ndim == 1:
            ga = ga.sum(0).to(a.dtype)
        return ga, gb, gh0 if h0 is not None else None, None, None

    forward.register_autograd(gradient, setup_context=setup)
    backward.refuse_derivative("linear_scan")
