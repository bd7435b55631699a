"""What the kernels of scaled Bernoulli spikes take and give, and their gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from spikescan.ops._core.registration import Gradient, Kernel, gradients


class Forward(NamedTuple):
    """Arguments of the forward kernel; it returns [U < gain x + bias] (B, T, D)."""

    x: Tensor
    gain: Tensor
    bias: Tensor
    key: Tensor
    """(B,) int64"""
    start: Tensor
    """(B,) int64"""
    lengths: Tensor | None


class Backward(NamedTuple):
    """Arguments of the backward kernel; it returns the gradients of x, and of gain and bias
    (D,)."""

    gs: Tensor
    x: Tensor
    gain: Tensor
    bias: Tensor
    lengths: Tensor | None


def gradient_outputs(given: Backward, empty: Any) -> tuple[Tensor, ...]:
    """Memory for the gradients."""
    return tuple(empty(t.shape, t) for t in (given.x, given.gain, given.bias))


def gradient(backward: Kernel) -> type[Gradient]:
    """The gradient of a forward kernel, by its backward kernel."""

    class BernoulliAffineGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            given = Forward(*inputs)
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(given.x, given.gain, given.bias, given.lengths)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            if grads[0] is None:
                return gradients(Forward)
            gx, ggain, gbias = backward(Backward(grads[0], *ctx.saved_tensors))
            return gradients(Forward, x=gx, gain=ggain, bias=gbias)

    return BernoulliAffineGradient
