"""What every kernel of the product of spikes takes and gives, and its gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core.registration import Gradient, Kernel, gradients

WORD = 64
"""Bits of a word, one for each spike; the C source's WORD."""


class Forward(NamedTuple):
    """Arguments of the forward kernel.

    It returns y (N, M); a bit for each nonzero spike (N, words) int64; which rows are odd, that is
    have other numbers than zero and one, (N,) uint8.
    """

    s: Tensor
    """(N, K)"""
    weight: Tensor
    """(M, K)"""
    bias: Tensor | None
    """(M,)"""
    half: bool
    """make the gradient of s by a bfloat16 product"""


class Backward(NamedTuple):
    """Arguments of the backward kernel.

    It returns the gradients of the spikes (N, K), of the weight (M, K) and of the bias (M,), empty
    if not wanted.
    """

    s: Tensor | None
    """(N, K), may be absent where no row is odd"""
    bits: Tensor
    odd: Tensor
    gy: Tensor
    """(N, M), gradient of y"""
    weight: Tensor
    """(M, K)"""
    half: bool
    want_gs: bool
    want_gweight: bool
    want_gbias: bool


def outputs(given: Forward, empty: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for y, bits and odd rows."""
    s, (rows, inputs) = given.s, given.s.shape
    return (
        empty((rows, given.weight.shape[0]), s),
        empty((rows, -(-inputs // WORD)), s, torch.int64),
        empty((rows,), s, torch.uint8),
    )


def gradient_outputs(given: Backward, empty: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for the gradients."""
    gy, (outputs, inputs) = given.gy, given.weight.shape
    return (
        empty((gy.shape[0], inputs) if given.want_gs else (0,), gy),
        empty((outputs, inputs) if given.want_gweight else (0,), gy),
        empty((outputs,) if given.want_gbias else (0,), gy),
    )


def _all_binary(odd: Tensor) -> bool:
    """Whether bits say all. Only values tell, and there are none while torch traces."""
    if torch.compiler.is_compiling() or type(odd) is not Tensor:
        return False
    try:
        return not bool(odd.any())
    except RuntimeError:  # a tracer over ordinary tensors
        return False


def gradient(backward: Kernel) -> type[Gradient]:
    """The gradient of a forward kernel, by its backward kernel."""

    class SpikeLinearGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            given, (_, bits, odd) = Forward(*inputs), output
            ctx.set_materialize_grads(False)
            ctx.mark_non_differentiable(bits, odd)
            # Bits are a 32nd of the spikes, which need not be kept where they say all.
            s = None if _all_binary(odd) else given.s
            ctx.save_for_backward(s, bits, odd, given.weight)
            ctx.half = given.half

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            g = grads[0]
            if g is None:
                return gradients(Forward)
            s, bits, odd, weight = ctx.saved_tensors
            need_s, learn, lift = ctx.needs_input_grad[:3]
            gs, gweight, gbias = backward(
                Backward(
                    s=s,
                    bits=bits,
                    odd=odd,
                    gy=g,
                    weight=weight,
                    half=ctx.half,
                    want_gs=need_s,
                    want_gweight=learn,
                    want_gbias=lift,
                )
            )
            return gradients(
                Forward,
                s=gs if need_s else None,
                weight=gweight if learn else None,
                bias=gbias if lift else None,
            )

    return SpikeLinearGradient
