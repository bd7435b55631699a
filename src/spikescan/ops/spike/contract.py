"""What every kernel of spikes without memory takes and gives, and their gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core.registration import Gradient, Kernel, gradients


class Forward(NamedTuple):
    """Arguments of the forward kernel; it returns the spikes (B, T, D)."""

    x: Tensor
    thresholds: Tensor
    """(D,)"""
    lengths: Tensor | None
    surrogate: int
    surrogate_parameter: float


class Backward(NamedTuple):
    """Arguments of the backward kernel; it returns the gradients of x (B, T, D) and of the
    threshold, for each row in float64 (B, D), None unless ``want_gthresholds``."""

    x: Tensor
    thresholds: Tensor
    lengths: Tensor | None
    gs: Tensor
    surrogate: int
    surrogate_parameter: float
    want_gthresholds: bool


def output(given: Forward, empty: Any) -> Tensor:
    """Memory for the spikes."""
    return empty(given.x.shape, given.x)


def gradient_outputs(given: Backward, empty: Any) -> tuple[Tensor, Tensor | None]:
    """Memory for the gradients."""
    x, (batch, _, channels) = given.x, given.x.shape
    rows = empty((batch, channels), x, torch.float64) if given.want_gthresholds else None
    return empty(x.shape, x), rows


def gradient(backward: Kernel) -> type[Gradient]:
    """The gradient of a forward kernel, by its backward kernel."""

    class SpikeGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            given = Forward(*inputs)
            ctx.save_for_backward(given.x, given.thresholds, given.lengths)
            ctx.options = {
                "surrogate": given.surrogate,
                "surrogate_parameter": given.surrogate_parameter,
            }

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
            x, thresholds, lengths = ctx.saved_tensors
            learn = ctx.needs_input_grad[1]
            gx, rows = backward(
                Backward(
                    x=x, thresholds=thresholds, lengths=lengths, gs=grads[0],
                    want_gthresholds=learn, **ctx.options,
                )
            )  # fmt: skip
            gthresholds = rows.sum(0).to(thresholds.dtype) if learn else None
            return gradients(Forward, x=gx, thresholds=gthresholds)

    return SpikeGradient
