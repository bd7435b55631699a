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

WINDOW = -1
"""The code of the window from 0 to N, which is no surrogate of its own."""


class Forward(NamedTuple):
    """Arguments of the forward kernel; it returns spikes, membrane (empty unless asked for), state,
    last inputs and checkpoints (empty unless saved)."""

    x: Tensor
    alpha: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    h0: Tensor | None
    inputs0: Tensor | None
    lengths: Tensor | None
    exponent: float
    levels: int
    surrogate: int
    surrogate_parameter: float
    want_membrane: bool
    save: bool = False


class Step(NamedTuple):
    """Arguments of the kernel of one step, without gradient; it returns spikes (B, 1, D), state
    (B, D) and the last inputs (B, k - 1, D)."""

    x: Tensor
    """(B, 1, D), in the dtype of the state"""
    weight: Tensor
    """(D, k), as the bias (D,) in any floating dtype"""
    bias: Tensor
    h0: Tensor | None
    inputs0: Tensor | None
    exponent: float
    levels: int


class Backward(NamedTuple):
    """Arguments of the backward kernel; it returns the gradients of x, of alpha (or empty), of
    weight and bias for each row (B, k + 1, D) float64 (or empty), of h0 and the carried inputs."""

    x: Tensor
    alpha: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    inputs0: Tensor | None
    checkpoints: Tensor
    lengths: Tensor | None
    gs: Tensor | None
    gmembrane: Tensor | None
    gh: Tensor | None
    ginputs: Tensor | None
    exponent: float
    levels: int
    surrogate: int
    surrogate_parameter: float
    want_galpha: bool
    want_gweight: bool


def codes(surrogate: Surrogate | None) -> tuple[int, float] | None:
    """A surrogate as the kernel receives it: the window from 0 to N, or its code and parameter;
    None for one that kernels cannot express."""
    return (WINDOW, 0.0) if surrogate is None else kernel_code(surrogate)


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
        x.shape if given.want_membrane else (0,),
        (batch, channels),
        (batch, taps(given.weight) - 1, channels),
        # In one dimension: with its own for spans, a compiler would tell T <= span from T > span.
        (batch * -(-steps // span) * channels if given.save else 0,),
    )
    return empty(x.shape, x), *(empty(shape, x, wide) for shape in shapes)


def step_outputs(given: Step, empty: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for spikes, state and the last inputs."""
    x, (batch, _, channels) = given.x, given.x.shape
    carried = (batch, taps(given.weight) - 1, channels)
    return empty(x.shape, x), empty((batch, channels), x), empty(carried, x)


def gradient_outputs(given: Backward, empty: Any) -> tuple[Tensor, ...]:
    """Memory for the gradients."""
    x, alpha = given.x, given.alpha
    batch, _, channels = x.shape
    k, wide = taps(given.weight), _wide(x, alpha)
    need_alpha = given.want_galpha and alpha is not None
    return (
        empty(x.shape, x),
        empty(x.shape if need_alpha else (0,), x, x.dtype if alpha is None else alpha.dtype),
        empty((batch, k + 1, channels) if given.want_gweight else (0,), x, torch.float64),
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
                given.x, given.alpha, given.weight, given.bias, given.inputs0, output[4],
                given.lengths,
            )  # fmt: skip
            ctx.membrane, ctx.has_h0 = given.want_membrane, given.h0 is not None
            ctx.options = {
                "exponent": given.exponent,
                "levels": given.levels,
                "surrogate": given.surrogate,
                "surrogate_parameter": given.surrogate_parameter,
            }

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            x, alpha, weight, bias, carried, checkpoints, lengths = ctx.saved_tensors
            gs, gmembrane, gh, ginputs, _ = grads
            _, need_alpha, need_weight, need_bias, *_ = ctx.needs_input_grad
            gx, galpha, sums, gh0, ginputs0 = backward(
                Backward(
                    x=x, alpha=alpha, weight=weight, bias=bias, inputs0=carried,
                    checkpoints=checkpoints, lengths=lengths, gs=gs,
                    gmembrane=gmembrane if ctx.membrane else None, gh=gh, ginputs=ginputs,
                    want_galpha=need_alpha, want_gweight=need_weight or need_bias, **ctx.options,
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
                inputs0=None if carried is None else ginputs0,
            )

    return DSNGradient
