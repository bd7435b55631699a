"""What every kernel of LIF takes and gives, and its gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core.registration import Gradient, Kernel, gradients
from spikescan.ops._core.validate import accumulator


class Forward(NamedTuple):
    """Arguments of the forward kernel.

    It returns spikes (B, T, D), membrane (B, T, D) if ``want_membrane`` else empty, state (B, D),
    and if ``save`` the state every so many steps, else empty.
    """

    x: Tensor
    beta: Tensor | None
    """(D,), in the dtype of the state"""
    leak: Tensor | None
    """in place of beta 1 - beta, (D,) in any floating dtype, without gradient"""
    thresholds: Tensor | None
    """rows threshold and v_reset (2, D); without them the two numbers are those of all channels"""
    v0: Tensor | None
    lengths: Tensor | None
    threshold: float
    v_reset: float
    reset: int
    detach: bool
    surrogate: int
    surrogate_parameter: float
    want_membrane: bool
    save: bool


class Step(NamedTuple):
    """Arguments of the kernel of one step, without gradient.

    It returns spikes (B, 1, D) and state (B, D).
    """

    x: Tensor
    """(B, 1, D), in the dtype of the state"""
    leak: Tensor
    """1 - beta, (D,) in float64"""
    v0: Tensor | None
    threshold: float
    v_reset: float
    reset: int


class Backward(NamedTuple):
    """Arguments of the backward kernel.

    It returns the gradients of x (B, T, D), of beta for each row (B, D) and of the thresholds for
    each row (B, 2, D), both in float64 and None if not wanted, and of the state (B, D).
    """

    x: Tensor
    beta: Tensor | None
    leak: Tensor | None
    thresholds: Tensor | None
    checkpoints: Tensor
    lengths: Tensor | None
    gs: Tensor | None
    gmembrane: Tensor | None
    gv: Tensor | None
    threshold: float
    v_reset: float
    reset: int
    detach: bool
    surrogate: int
    surrogate_parameter: float
    want_gbeta: bool
    want_gthresholds: bool


def decay(dtype: torch.dtype, leak: Tensor) -> Tensor:
    """The beta of a leak, rounded once from its dtype."""
    return torch.rsub(leak, 1).to(dtype)


def outputs(given: Forward, span: int, empty: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Memory for spikes, membrane, state and a checkpoint every ``span`` steps."""
    x, kind = given.x, accumulator(given.x.dtype)
    batch, steps, channels = x.shape
    # In one dimension: an own one for the spans would make a compiler tell T <= span from T > span.
    saved = batch * -(-steps // span) * channels if given.save else 0
    return (
        empty(x.shape, x),
        empty(x.shape if given.want_membrane else (0,), x, kind),
        empty((batch, channels), x, kind),
        empty((saved,), x, kind),
    )


def step_outputs(given: Step, empty: Any) -> tuple[Tensor, Tensor]:
    """Memory for spikes and state."""
    shape = given.x.shape
    return empty(shape, given.x), empty((shape[0], shape[2]), given.x)


def gradient_outputs(
    given: Backward, empty: Any
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor]:
    """Memory for the gradients."""
    x, (batch, _, channels) = given.x, given.x.shape
    wide = torch.float64
    return (
        empty(x.shape, x),
        empty((batch, channels), x, wide) if given.want_gbeta else None,
        empty((batch, 2, channels), x, wide) if given.want_gthresholds else None,
        empty((batch, channels), x, accumulator(x.dtype)),
    )


def gradient(backward: Kernel) -> type[Gradient]:
    """The gradient of a forward kernel, by its backward kernel."""

    class LIFGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            given = Forward(*inputs)
            ctx.set_materialize_grads(False)
            # Compiled code gives an output that is empty, as a membrane not asked for, a gradient.
            ctx.watched = given.want_membrane
            ctx.mark_non_differentiable(output[3])
            ctx.save_for_backward(
                given.x, given.beta, given.leak, given.thresholds, output[3], given.lengths
            )
            ctx.has_v0 = given.v0 is not None
            ctx.options = {
                "threshold": given.threshold,
                "v_reset": given.v_reset,
                "reset": given.reset,
                "detach": given.detach,
                "surrogate": given.surrogate,
                "surrogate_parameter": given.surrogate_parameter,
            }

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            x, beta, leak, thresholds, checkpoints, lengths = ctx.saved_tensors
            _, learn, _, lift, *_ = ctx.needs_input_grad
            gx, gbeta, gthresholds, gv0 = backward(
                Backward(
                    x=x, beta=beta, leak=leak, thresholds=thresholds, checkpoints=checkpoints,
                    lengths=lengths,
                    gs=grads[0], gmembrane=grads[1] if ctx.watched else None, gv=grads[2],
                    want_gbeta=learn, want_gthresholds=lift, **ctx.options,
                )
            )  # fmt: skip
            return gradients(
                Forward,
                x=gx,
                beta=gbeta.sum(0).to(gv0.dtype) if learn else None,
                thresholds=gthresholds.sum(0).to(gv0.dtype) if lift else None,
                v0=gv0 if ctx.has_v0 else None,
            )

    return LIFGradient
