"""What the kernel that turns sequences into channels takes and gives, and its gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from spikescan.ops._core.registration import Gradient, Kernel, gradients


class Turn(NamedTuple):
    """Arguments of the kernel: sequences (B, T, D) become channels (D, B, steps), T <= steps, with
    zeros beyond T; ``back`` makes channels (D, B, P), P >= steps, sequences (B, steps, D)."""

    x: Tensor
    steps: int
    back: bool


def output(given: Turn, empty: Any) -> Tensor:
    """Memory for the result."""
    first, second, third = given.x.shape
    if given.back:
        return empty((second, given.steps, first), given.x)
    return empty((third, first, given.steps), given.x)


def gradient(backward: Kernel) -> type[Gradient]:
    """That of turning is turning back."""

    class TurnGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            given = Turn(*inputs)
            ctx.back = given.back
            ctx.steps = given.x.shape[2 if given.back else 1]

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
            return gradients(Turn, x=backward(Turn(x=grads[0], steps=ctx.steps, back=not ctx.back)))

    return TurnGradient
