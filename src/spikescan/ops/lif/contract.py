"""What every kernel of LIF takes and gives, and its gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core.registration import Gradient, Kernel, gradients


class Forward(NamedTuple):
    """Arguments of the forward kernel.

    It returns spikes (B, T, D), membrane (B, T, D) if ``membrane`` else empty, state (B, D), and if
    ``save`` the state every so many steps, else empty.
    """

    x: Tensor
    beta: Tensor
    """(D,), in the dtype of the state"""
    levels: Tensor | None
    """rows threshold and v_reset (2, D); without them the two numbers are those of all channels"""
    v0: Tensor | None
    lengths: Tensor | None
    threshold: float
    v_reset: float
    reset: int
    detach: bool
    surrogate: int
    alpha: float
    membrane: bool
    save: bool


class Backward(NamedTuple):
    """Arguments of the backward kernel.

    It returns the gradients of x (B, T, D), of beta for each row (B, D) in float64 if ``learn``
    else empty, of the levels for each row (B, 2, D) in float64 if ``lift`` else empty, and of the
    state (B, D).
    """

    x: Tensor
    beta: Tensor
    levels: Tensor | None
    checkpoints: Tensor
    lengths: Tensor | None
    gs: Tensor | None
    gu: Tensor | None
    gv: Tensor | None
    threshold: float
    v_reset: float
    reset: int
    detach: bool
    surrogate: int
    alpha: float
    learn: bool
    lift: bool


def outputs(given: Forward, span: int, empty: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Memory for spikes, membrane, state and a checkpoint every ``span`` steps."""
    x, kind = given.x, given.beta.dtype
    batch, steps, channels = x.shape
    # In one dimension: an own one for the spans would make a compiler tell T <= span from T > span.
    saved = batch * -(-steps // span) * channels if given.save else 0
    return (
        empty(x.shape, x),
        empty(x.shape if given.membrane else (0,), x, kind),
        empty((batch, channels), x, kind),
        empty((saved,), x, kind),
    )


def gradient_outputs(given: Backward, empty: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Memory for the gradients."""
    x, (batch, _, channels) = given.x, given.x.shape
    return (
        empty(x.shape, x),
        empty((batch, channels) if given.learn else (0,), x, torch.float64),
        empty((batch, 2, channels) if given.lift else (0,), x, torch.float64),
        empty((batch, channels), x, given.beta.dtype),
    )


def gradient(backward: Kernel) -> type[Gradient]:
    """The gradient of a forward kernel, by its backward kernel."""

    class LIFGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            given = Forward(*inputs)
            ctx.set_materialize_grads(False)
            # Compiled code gives an output that is empty, as a membrane not asked for, a gradient.
            ctx.watched = given.membrane
            ctx.mark_non_differentiable(output[3])
            ctx.save_for_backward(given.x, given.beta, given.levels, output[3], given.lengths)
            ctx.has_v0 = given.v0 is not None
            ctx.options = {
                "threshold": given.threshold,
                "v_reset": given.v_reset,
                "reset": given.reset,
                "detach": given.detach,
                "surrogate": given.surrogate,
                "alpha": given.alpha,
            }

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            x, beta, levels, checkpoints, lengths = ctx.saved_tensors
            learn, lift = ctx.needs_input_grad[1:3]
            gx, gbeta, glevels, gv0 = backward(
                Backward(
                    x=x, beta=beta, levels=levels, checkpoints=checkpoints, lengths=lengths,
                    gs=grads[0], gu=grads[1] if ctx.watched else None, gv=grads[2],
                    learn=learn, lift=lift, **ctx.options,
                )
            )  # fmt: skip
            return gradients(
                Forward,
                x=gx,
                beta=gbeta.sum(0).to(beta.dtype) if learn else None,
                levels=glevels.sum(0).to(beta.dtype) if lift else None,
                v0=gv0 if ctx.has_v0 else None,
            )

    return LIFGradient
