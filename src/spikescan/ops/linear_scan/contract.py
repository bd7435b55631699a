"""What every kernel of the linear scan takes and gives, and their gradient.

Complex numbers come as pairs of real lanes, which D counts here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.registration import Gradient, Kernel, gradients


class Forward(NamedTuple):
    """Arguments of the forward kernel; it returns all states (B, T, D) and the last (B, D)."""

    a: Tensor
    """(D,) or (B, T, D)"""
    b: Tensor
    h0: Tensor | None
    lengths: Tensor | None
    is_complex: bool


class Backward(NamedTuple):
    """Arguments of the backward kernel; it returns the gradients of a ((B, T, D), for each row
    (B, D) in float64 when constant, empty unless ``want_ga``), of b and of h0."""

    a: Tensor
    h: Tensor
    h0: Tensor | None
    lengths: Tensor | None
    gh: Tensor | None
    glast: Tensor | None
    is_complex: bool
    want_ga: bool


def outputs(given: Forward, empty: Any) -> tuple[Tensor, Tensor]:
    """Memory for all states, in the dtype of a and b joined, and the last, in at least float32."""
    b, joined = given.b, torch.promote_types(given.a.dtype, given.b.dtype)
    last = empty((b.shape[0], b.shape[2]), b, validate.accumulator(joined))
    return empty(b.shape, b, joined), last


def gradient_outputs(given: Backward, empty: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for the gradients."""
    a, h = given.a, given.h
    lanes = (h.shape[0], h.shape[2])
    shape, kind = (h.shape, a.dtype) if a.ndim == 3 else (lanes, torch.float64)
    ga = empty(shape if given.want_ga else (0,), h, kind)
    return ga, empty(h.shape, h), empty(lanes, h, validate.accumulator(h.dtype))


def gradient(backward: Kernel) -> type[Gradient]:
    """The gradient of a forward kernel, by its backward kernel."""

    class LinearScanGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            given = Forward(*inputs)
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(given.a, output[0], given.h0, given.lengths)
            ctx.is_complex = given.is_complex

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            a, h, h0, lengths = ctx.saved_tensors
            need_a = ctx.needs_input_grad[0]
            ga, gb, gh0 = backward(
                Backward(
                    a=a,
                    h=h,
                    h0=h0,
                    lengths=lengths,
                    gh=grads[0],
                    glast=grads[1],
                    is_complex=ctx.is_complex,
                    want_ga=need_a,
                )
            )
            if need_a and a.ndim == 1:
                ga = ga.sum(0).to(a.dtype)
            return gradients(
                Forward, a=ga if need_a else None, b=gb, h0=gh0 if h0 is not None else None
            )

    return LinearScanGradient
