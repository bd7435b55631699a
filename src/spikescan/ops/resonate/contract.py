"""What every kernel of the oscillator shares: the shapes of its results, and its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan.ops._core.bypass import Operator
from spikescan.ops._core.cpu.call import fake
from spikescan.ops._core.validate import accumulator


def outputs(x: Tensor, membrane: bool, save: bool, span: int, empty: Any) -> tuple[Tensor, ...]:
    """Spikes like x; membrane, state and checkpoints (u, then r) in the dtype of the state."""
    batch, steps, channels = x.shape
    lanes = (batch, channels)
    saved = (batch * 2 * -(-steps // span) * channels if save else 0,)  # as in lif
    shapes = (x.shape if membrane else (0,), lanes, lanes, saved)
    return empty(x.shape, x), *(empty(shape, x, accumulator(x.dtype)) for shape in shapes)


def gradients(x: Tensor, need_parameters: bool, empty: Any) -> tuple[Tensor, ...]:
    """Those of x, of delta, theta and tau as rows in float64 (or empty), of u0 and r0."""
    lanes = (x.shape[0], x.shape[2])
    own = (3, x.shape[2]) if need_parameters else (0,)
    states = (empty(lanes, x, accumulator(x.dtype)) for _ in range(2))
    return empty(x.shape, x), empty(own, x, torch.float64), *states


def connect(forward: Operator, backward: Operator, span: int) -> None:
    """Make a forward and a backward kernel, with the arguments of cpu.py, one differentiable op."""

    @forward.register_fake
    def _(x: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
        membrane, save = arguments[-2:]
        rows = fake((3, x.shape[2]), x, accumulator(x.dtype))
        return *outputs(x, membrane, save, span, fake), rows

    @backward.register_fake
    def _(x: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
        return gradients(x, arguments[-1], fake)

    def setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, parameters, u0, r0, lengths, *options, _, save = inputs
        ctx.set_materialize_grads(False)
        ctx.save = save
        ctx.options = options
        ctx.has_state = (u0 is not None, r0 is not None)
        ctx.save_for_backward(x, parameters, *output[4:], lengths)

    def gradient(
        ctx: Any,
        gs: Tensor | None,
        gm: Tensor | None,
        gu: Tensor | None,
        gr: Tensor | None,
        *_: Tensor | None,
    ) -> tuple[Any, ...]:
        if not ctx.save:
            raise RuntimeError("resonate_forward ran with save=False and cannot be differentiated")
        x, parameters, checkpoints, rows, lengths = ctx.saved_tensors
        need = ctx.needs_input_grad[1]
        gx, own, gu0, gr0 = backward(
            x, parameters, rows, checkpoints, lengths, gs, gm, gu, gr, *ctx.options, need
        )
        states = [g if has else None for g, has in zip((gu0, gr0), ctx.has_state, strict=True)]
        return (gx, own if need else None, *states, *[None] * 6)

    forward.register_autograd(gradient, setup_context=setup)
    backward.refuse_derivative("resonate")
