"""What the kernels of state-space models take and give, and their gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from spikescan.ops._core.registration import Gradient, Kernel, gradients


class Forward(NamedTuple):
    """Arguments of the forward kernel; it returns outputs (B, T, D), the state (B, D, states) after
    the last whole chunk of each row, and checkpoints (empty unless saved)."""

    x: Tensor
    weights: Tensor
    """(blocks, K, LINE), see :func:`~spikescan.ops.ssm.cpu.pack`."""
    h0: Tensor | None
    lengths: Tensor | None
    states: int
    chunk: int
    dense: bool
    reverse: bool
    save: bool = False


class Backward(NamedTuple):
    """Arguments of the backward kernel; it returns the gradients of x, of the weights for each
    group of rows (groups, blocks, K, LINE) or empty, and of the state (B, D, states)."""

    x: Tensor
    weights: Tensor
    checkpoints: Tensor
    lengths: Tensor | None
    gy: Tensor | None
    gh: Tensor | None
    states: int
    chunk: int
    dense: bool
    reverse: bool
    want_gweights: bool


GROUPS = 8
"""Groups of rows whose gradients are summed apart, so that no number of threads changes a sum."""


def outputs(given: Forward, constants: dict[str, int], empty: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for outputs, states and checkpoints."""
    x, tile = given.x, constants["TILE"]
    batch, steps, channels = x.shape
    spans = -(-steps // (constants["CHUNKS"] * given.chunk))
    held = batch * spans * given.weights.shape[0] * -(-given.states // tile) * tile
    return (
        empty(x.shape, x),
        empty((batch, channels, given.states), x),
        # In one dimension: with its own for spans, a compiler would tell few steps from many.
        empty((held * constants["LINE"] if given.save else 0,), x),
    )


def gradient_outputs(given: Backward, empty: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for the gradients."""
    x = given.x
    batch, _, channels = x.shape
    groups = min(batch, GROUPS)
    return (
        empty(x.shape, x),
        empty((groups, *given.weights.shape) if given.want_gweights else (0,), x),
        empty((batch, channels, given.states), x),
    )


def gradient(backward: Kernel) -> type[Gradient]:
    """The gradient of a forward kernel, by its backward kernel."""

    class SSMGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            given = Forward(*inputs)
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(given.x, given.weights, output[2], given.lengths)
            ctx.has_h0 = given.h0 is not None
            ctx.options = {
                "states": given.states,
                "chunk": given.chunk,
                "dense": given.dense,
                "reverse": given.reverse,
            }

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            x, weights, checkpoints, lengths = ctx.saved_tensors
            learn = ctx.needs_input_grad[1]
            gx, sums, gh0 = backward(
                Backward(
                    x=x, weights=weights, checkpoints=checkpoints, lengths=lengths, gy=grads[0],
                    gh=grads[1], want_gweights=learn, **ctx.options,
                )
            )  # fmt: skip
            return gradients(
                Forward,
                x=gx,
                weights=sums.sum(0) if learn else None,
                h0=gh0 if ctx.has_h0 else None,
            )

    return SSMGradient
