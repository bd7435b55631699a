"""What every kernel of the oscillator takes and gives, and its gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core.registration import Gradient, Kernel, gradients
from spikescan.ops._core.validate import accumulator


class Forward(NamedTuple):
    """Arguments of the forward kernel.

    It returns spikes (B, T, D), membrane (B, T, D) if ``want_membrane`` else empty, final u and r
    (B, D), if ``save`` the state every so many steps (u, then r) else empty, and rows p, q, gain
    (3, D) in the dtype of the state.
    """

    x: Tensor
    parameters: Tensor
    """rows delta, theta, tau (3, D) in float64"""
    thresholds: Tensor | None
    """(D,), in the dtype of the state; without them the number is that of all channels"""
    u0: Tensor | None
    r0: Tensor | None
    lengths: Tensor | None
    threshold: float
    surrogate: int
    surrogate_parameter: float
    want_membrane: bool
    save: bool


class Step(NamedTuple):
    """Arguments of the kernel of one step, without gradient.

    It returns spikes (B, 1, D) and u and r (B, D).
    """

    x: Tensor
    """(B, 1, D), in the dtype of the state"""
    log_delta: Tensor
    """(D,), as log_theta and log_tau in any floating dtype"""
    log_theta: Tensor
    log_tau: Tensor
    u0: Tensor | None
    r0: Tensor | None
    threshold: float


class Backward(NamedTuple):
    """Arguments of the backward kernel.

    It returns the gradients of x (B, T, D), of the parameters (3, D) and of the thresholds for each
    row (B, D), both in float64 and empty if not wanted, and of u0 and r0 (B, D).
    """

    x: Tensor
    parameters: Tensor
    thresholds: Tensor | None
    rows: Tensor
    checkpoints: Tensor
    lengths: Tensor | None
    gs: Tensor | None
    gmembrane: Tensor | None
    gu: Tensor | None
    gr: Tensor | None
    threshold: float
    surrogate: int
    surrogate_parameter: float
    want_gparameters: bool
    want_gthresholds: bool


def outputs(given: Forward, span: int, empty: Any) -> tuple[Tensor, ...]:
    """Memory for spikes, membrane, u, r, a checkpoint every ``span`` steps, and the rows."""
    x, kind = given.x, accumulator(given.x.dtype)
    batch, steps, channels = x.shape
    lanes = (batch, channels)
    saved = batch * 2 * -(-steps // span) * channels if given.save else 0  # as in lif
    shapes = (x.shape if given.want_membrane else (0,), lanes, lanes, (saved,), (3, channels))
    return empty(x.shape, x), *(empty(shape, x, kind) for shape in shapes)


def step_outputs(given: Step, empty: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for spikes, u and r."""
    x, shape = given.x, given.x.shape
    lanes = (shape[0], shape[2])
    return empty(shape, x), empty(lanes, x), empty(lanes, x)


def gradient_outputs(given: Backward, empty: Any) -> tuple[Tensor, ...]:
    """Memory for the gradients."""
    x, kind = given.x, accumulator(given.x.dtype)
    lanes = (x.shape[0], x.shape[2])
    return (
        empty(x.shape, x),
        empty((3, x.shape[2]) if given.want_gparameters else (0,), x, torch.float64),
        empty(lanes if given.want_gthresholds else (0,), x, torch.float64),
        empty(lanes, x, kind),
        empty(lanes, x, kind),
    )


def gradient(backward: Kernel) -> type[Gradient]:
    """The gradient of a forward kernel, by its backward kernel."""

    class ResonateGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            given = Forward(*inputs)
            checkpoints, rows = output[4:]
            ctx.set_materialize_grads(False)
            # Compiled code gives an output that is empty, as a membrane not asked for, a gradient.
            ctx.watched = given.want_membrane
            ctx.mark_non_differentiable(checkpoints, rows)
            ctx.save_for_backward(
                given.x, given.parameters, given.thresholds, rows, checkpoints, given.lengths
            )
            ctx.has_state = (given.u0 is not None, given.r0 is not None)
            ctx.options = {
                "threshold": given.threshold,
                "surrogate": given.surrogate,
                "surrogate_parameter": given.surrogate_parameter,
            }

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            x, parameters, thresholds, rows, checkpoints, lengths = ctx.saved_tensors
            learn, lift = ctx.needs_input_grad[1:3]
            gx, own, gthresholds, gu0, gr0 = backward(
                Backward(
                    x=x, parameters=parameters, thresholds=thresholds, rows=rows,
                    checkpoints=checkpoints, lengths=lengths,
                    gs=grads[0], gmembrane=grads[1] if ctx.watched else None,
                    gu=grads[2], gr=grads[3],
                    want_gparameters=learn, want_gthresholds=lift, **ctx.options,
                )
            )  # fmt: skip
            return gradients(
                Forward,
                x=gx,
                parameters=own if learn else None,
                thresholds=gthresholds.sum(0).to(gu0.dtype) if lift else None,
                u0=gu0 if ctx.has_state[0] else None,
                r0=gr0 if ctx.has_state[1] else None,
            )

    return ResonateGradient
