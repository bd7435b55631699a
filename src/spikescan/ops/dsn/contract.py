"""What every kernel of dynamic decay shares: arguments, shapes of results, and the gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.bypass import Operator
from spikescan.ops._core.cpu.call import fake
from spikescan.ops.surrogate import Surrogate, kernel_code

_WINDOW = -1


def codes(surrogate: Surrogate | None) -> tuple[int, float] | None:
    """A surrogate as the kernel receives it: the window from 0 to N, or its code and parameter;
    None for one that kernels cannot express."""
    return (_WINDOW, 0.0) if surrogate is None else kernel_code(surrogate)


def rows(weight: Tensor | None, bias: Tensor | None) -> Tensor | None:
    """Weights (D, k) and bias (D,) as the kernel reads them: (k + 1, D)."""
    if weight is None or bias is None:
        return None
    return torch.cat((weight.t(), bias[None])).contiguous()


def taps(weight: Tensor | None) -> int:
    return 1 if weight is None else weight.shape[1]


def _wide(x: Tensor, alpha: Tensor | None) -> torch.dtype:
    return validate.accumulator(
        x.dtype if alpha is None else torch.promote_types(x.dtype, alpha.dtype)
    )


def outputs(
    x: Tensor,
    alpha: Tensor | None,
    weight: Tensor | None,
    membrane: bool,
    save: bool,
    span: int,
    empty: Any,
) -> tuple[Tensor, ...]:
    """Spikes like x; in at least float32 membrane, state, last inputs and checkpoints."""
    batch, steps, channels = x.shape
    wide = _wide(x, alpha)
    shapes = (
        x.shape if membrane else (0,),
        (batch, channels),
        (batch, taps(weight) - 1, channels),
        (batch * -(-steps // span) * channels if save else 0,),  # as in lif
    )
    return empty(x.shape, x), *(empty(shape, x, wide) for shape in shapes)


def gradients(
    x: Tensor,
    alpha: Tensor | None,
    weight: Tensor | None,
    need_alpha: bool,
    need_weight: bool,
    empty: Any,
) -> tuple[Tensor, ...]:
    """Those of x, alpha, the weights for each row in float64, h0 and the carried inputs."""
    batch, _, channels = x.shape
    k, wide = taps(weight), _wide(x, alpha)
    return (
        empty(x.shape, x),
        empty(x.shape, x, alpha.dtype) if need_alpha and alpha is not None else empty((0,), x),
        empty((batch, k + 1, channels) if need_weight else (0,), x, torch.float64),
        empty((batch, channels), x, wide),
        empty((batch, k - 1, channels), x, wide),
    )


def connect(forward: Operator, backward: Operator, span: int) -> None:
    """Make a forward and a backward kernel, with the arguments of cpu.py, one differentiable op."""

    @forward.register_fake
    def _(x: Tensor, alpha: Tensor | None, weight: Tensor | None, *rest: Any) -> tuple[Tensor, ...]:
        membrane, save = rest[-2:]
        return outputs(x, alpha, weight, membrane, save, span, fake)

    @backward.register_fake
    def _(x: Tensor, alpha: Tensor | None, weight: Tensor | None, *rest: Any) -> tuple[Tensor, ...]:
        need_alpha, need_weight = rest[-2:]
        return gradients(x, alpha, weight, need_alpha, need_weight, fake)

    def setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, alpha, weight, bias, h0, carried, lengths, *options, _, save = inputs
        ctx.set_materialize_grads(False)
        ctx.save = save
        ctx.options = options
        ctx.has_state = (h0 is not None, carried is not None)
        ctx.save_for_backward(x, alpha, weight, bias, carried, output[4], lengths)

    def gradient(
        ctx: Any,
        gs: Tensor | None,
        gm: Tensor | None,
        gh: Tensor | None,
        glast: Tensor | None,
        _: Tensor | None,
    ) -> tuple[Any, ...]:
        if not ctx.save:
            raise RuntimeError("dsn_forward ran with save=False and cannot be differentiated")
        x, *saved = ctx.saved_tensors
        need_alpha, need_weight, need_bias = ctx.needs_input_grad[1:4]
        gx, galpha, sums, gh0, ginputs = backward(
            x, *saved, gs, gm, gh, glast, *ctx.options, need_alpha, need_weight or need_bias
        )
        gweight = gbias = None
        if need_weight or need_bias:
            total = sums.sum(0).to(gh0.dtype)
            gweight, gbias = total[:-1].t(), total[-1]
        states = [g if has else None for g, has in zip((gh0, ginputs), ctx.has_state, strict=True)]
        return (gx, galpha if need_alpha else None, gweight, gbias, *states, *[None] * 7)

    forward.register_autograd(gradient, setup_context=setup)
    backward.refuse_derivative("dsn")
