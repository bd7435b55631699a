"""What every kernel of dropout takes and gives, and its gradient, which is dropout again."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from spikescan.ops._core.registration import Gradient, Kernel, gradients

ROW = 256
"""Numbers that share a step of the random numbers; the C source's ROW."""


class Forward(NamedTuple):
    """Arguments of the kernel, which returns x times ``factor``, or times 0, in the shape of x."""

    x: Tensor
    key: Tensor
    """(1,) int64"""
    least: int
    """smallest random integer in [-2^23, 2^23) of a number that stays"""
    factor: float


def gradient(kernel: Kernel) -> type[Gradient]:
    """The gradient of the kernel, by the kernel."""

    class DropoutGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            given = Forward(*inputs)
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(given.key)
            ctx.least, ctx.factor = given.least, given.factor

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            g = grads[0]
            if g is None:
                return gradients(Forward)
            (key,) = ctx.saved_tensors
            again = Forward(x=g, key=key, least=ctx.least, factor=ctx.factor)
            return gradients(Forward, x=kernel(again))

    return DropoutGradient
