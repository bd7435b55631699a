"""What the kernels of batch normalisation take and give, and their gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core.registration import Gradient, Kernel, gradients


class Forward(NamedTuple):
    """Arguments of the forward kernel; it returns the normalised sequences plus the residual
    (B, T, D), and mean and variance used (D,), float64."""

    x: Tensor
    weight: Tensor
    bias: Tensor
    residual: Tensor | None
    mean: Tensor | None
    var: Tensor | None
    lengths: Tensor | None
    eps: float


class Backward(NamedTuple):
    """Arguments of the backward kernel; it returns the gradients of x, weight, bias, mean and
    variance. With ``batch`` the last two are those of x, and their gradients are empty."""

    gout: Tensor
    x: Tensor
    weight: Tensor
    mean: Tensor
    var: Tensor
    lengths: Tensor | None
    eps: float
    batch: bool


def outputs(given: Forward, empty: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for the results."""
    x = given.x
    mean, var = (empty((x.shape[2],), x, torch.float64) for _ in range(2))
    return empty(x.shape, x), mean, var


def gradient_outputs(given: Backward, empty: Any) -> tuple[Tensor, ...]:
    """Memory for the gradients."""
    x, channels = given.x, (given.x.shape[2],)
    statistics = (empty((0,) if given.batch else channels, x, torch.float64) for _ in range(2))
    own = (empty(channels, x, given.weight.dtype) for _ in range(2))
    return empty(x.shape, x), *own, *statistics


def gradient(backward: Kernel) -> type[Gradient]:
    """The gradient of a forward kernel, by its backward kernel."""

    class BatchNormGradient(Gradient):
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            given = Forward(*inputs)
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(given.x, given.weight, output[1], output[2], given.lengths)
            ctx.eps, ctx.joined = given.eps, given.residual is not None
            ctx.dtypes = [None if t is None else t.dtype for t in (given.mean, given.var)]

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            # The statistics returned are detached by the public op.
            if grads[0] is None:
                return gradients(Forward)
            x, weight, mean, var, lengths = ctx.saved_tensors
            gx, gweight, gbias, *statistics = backward(
                Backward(
                    gout=grads[0],
                    x=x,
                    weight=weight,
                    mean=mean,
                    var=var,
                    lengths=lengths,
                    eps=ctx.eps,
                    batch=ctx.dtypes[0] is None,
                )
            )
            gmean, gvar = (
                None if dtype is None else g.to(dtype)
                for g, dtype in zip(statistics, ctx.dtypes, strict=True)
            )
            return gradients(
                Forward,
                x=gx,
                weight=gweight,
                bias=gbias,
                residual=grads[0] if ctx.joined else None,
                mean=gmean,
                var=gvar,
            )

    return BatchNormGradient
