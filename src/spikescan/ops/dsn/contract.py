"""What every kernel of dynamic decay takes and gives, and their gradient.

The decay at each step is given as ``alpha`` (B, T, D), or comes from a convolution of the input
with ``weight`` (D, k) and ``bias`` (D,).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.registration import Gradient, Kernel, gradients
from spikescan.ops.surrogate import Surrogate, kernel_code

_WINDOW = -1


class Forward(NamedTuple):
    """Arguments of the forward kernel; it returns spikes, membrane (empty unless asked for), state,
    last inputs and checkpoints (empty unless saved)."""

    x: Tensor
    alpha: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    h0: Tensor | None
    inputs: Tensor | None
    lengths: Tensor | None
    exponent: float
    levels: int
    surrogate: int
    surrogate_parameter: float
    membrane: bool
    save: bool = False


class Backward(NamedTuple):
    """Arguments of the backward kernel; it returns the gradients of x, of alpha (or empty), of
    weight and bias for each row (B, k + 1, D) float64 (or empty), of h0 and the carried inputs."""

    x: Tensor
    alpha: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    inputs: Tensor | None
    checkpoints: Tensor
    lengths: Tensor | None
    gs: Tensor | None
    gm: Tensor | None
    gh: Tensor | None
    glast: Tensor | None
    exponent: float
    levels: int
    surrogate: int
    surrogate_parameter: float
    need_alpha: bool
    need_weight: bool


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


def outputs(given: Forward, span: int, empty: Any) -> tuple[Tensor, ...]:
    """Memory for spikes like x; in at least float32 for the rest, a checkpoint every ``span``
    steps."""
    x = given.x
    batch, steps, channels = x.shape
    wide = _wide(x, given.alpha)
    shapes = (
        x.shape if given.membrane else (0,),
        (batch, channels),
        (batch, taps(given.weight) - 1, channels),
        # In one dimension: with its own for spans, a compiler would tell T <= span from T > span.
        (batch * -(-steps // span) * channels if given.save else 0,),
    )
    return empty(x.shape, x), *(empty(shape, x, wide) for shape in shapes)


def gradient_outputs(given: Backward, empty: Any) -> tuple[Tensor, ...]:
    """Memory for the gradients."""
    x, alpha = given.x, given.alpha
    batch, _, channels = x.shape
    k, wide = taps(given.weight), _wide(x, alpha)
    need_alpha = given.need_alpha and alpha is not None
    return (
        empty(x.shape, x),
        empty(x.shape if need_alpha else (0,), x, x.dtype if alpha is None else alpha.dtype),
        empty((batch, k + 1, channels) if given.need_weight else (0,), x, torch.float64),
        empty((batch, channels), x, wide),
        empty((batch, k - 1, channels), x, wide),
    )


def gradient(backward: Kernel) -> type[Gradient]:
    """The gradient of a forward kernel, by its backward kernel."""

    class DSNGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            given = Forward(*inputs)
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(
                given.x, given.alpha, given.weight, given.bias, given.inputs, output[4],
                given.lengths,
            )  # fmt: skip
            ctx.membrane, ctx.has_h0 = given.membrane, given.h0 is not None
            ctx.options = {
                "exponent": given.exponent,
                "levels": given.levels,
                "surrogate": given.surrogate,
                "surrogate_parameter": given.surrogate_parameter,
            }

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            x, alpha, weight, bias, carried, checkpoints, lengths = ctx.saved_tensors
            gs, gm, gh, glast, _ = grads
            _, need_alpha, need_weight, need_bias, *_ = ctx.needs_input_grad
            gx, galpha, sums, gh0, ginputs = backward(
                Backward(
                    x=x, alpha=alpha, weight=weight, bias=bias, inputs=carried,
                    checkpoints=checkpoints, lengths=lengths, gs=gs,
                    gm=gm if ctx.membrane else None, gh=gh, glast=glast,
                    need_alpha=need_alpha, need_weight=need_weight or need_bias, **ctx.options,
                )
            )  # fmt: skip
            gweight = gbias = None
            if need_weight or need_bias:
                total = sums.sum(0).to(gh0.dtype)
                gweight, gbias = total[:-1].t(), total[-1]
            return gradients(
                Forward,
                x=gx,
                alpha=galpha if need_alpha else None,
                weight=gweight,
                bias=gbias,
                h0=gh0 if ctx.has_h0 else None,
                inputs=None if carried is None else ginputs,
            )

    return DSNGradient
