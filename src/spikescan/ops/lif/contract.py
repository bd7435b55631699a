"""What every kernel of LIF shares: the shapes of its results, and its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan.ops._core.bypass import Operator
from spikescan.ops._core.cpu.call import fake


def outputs(
    x: Tensor, beta: Tensor, membrane: bool, save: bool, span: int, empty: Any
) -> tuple[Tensor, ...]:
    """Spikes like x; membrane, state and a checkpoint every ``span`` steps like the decay."""
    batch, steps, channels = x.shape
    # In one dimension: an own one for the spans would make a compiler tell T <= span from T > span.
    saved = (batch * -(-steps // span) * channels if save else 0,)
    shapes = (x.shape if membrane else (0,), (batch, channels), saved)
    return empty(x.shape, x), *(empty(shape, x, beta.dtype) for shape in shapes)


def gradients(
    x: Tensor, beta: Tensor, need_beta: bool, empty: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Those of x, of the decay for each row in float64 (or empty), of the state."""
    lanes = (x.shape[0], x.shape[2])
    gbeta = empty(lanes if need_beta else (0,), x, torch.float64)
    return empty(x.shape, x), gbeta, empty(lanes, x, beta.dtype)


def connect(forward: Operator, backward: Operator, span: int) -> None:
    """Make a forward and a backward kernel, with the arguments of cpu.py, one differentiable op."""

    @forward.register_fake
    def _(x: Tensor, beta: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
        membrane, save = arguments[-2:]
        return outputs(x, beta, membrane, save, span, fake)

    @backward.register_fake
    def _(x: Tensor, beta: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        return gradients(x, beta, arguments[-1], fake)

    def setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, beta, v0, lengths, *options, _, save = inputs
        ctx.set_materialize_grads(False)
        ctx.save = save
        ctx.options = options
        ctx.has_v0 = v0 is not None
        ctx.save_for_backward(x, beta, output[3], lengths)

    def gradient(
        ctx: Any, gs: Tensor | None, gu: Tensor | None, gv: Tensor | None, _: Tensor | None
    ) -> tuple[Any, ...]:
        if not ctx.save:
            raise RuntimeError("lif_forward ran with save=False and cannot be differentiated")
        x, beta, checkpoints, lengths = ctx.saved_tensors
        need_beta = ctx.needs_input_grad[1]
        gx, gbeta, gv0 = backward(
            x, beta, checkpoints, lengths, gs, gu, gv, *ctx.options, need_beta
        )
        gbeta = gbeta.sum(0).to(beta.dtype) if need_beta else None
        return (gx, gbeta, gv0 if ctx.has_v0 else None, *[None] * 9)

    forward.register_autograd(gradient, setup_context=setup)
    backward.refuse_derivative("lif")
