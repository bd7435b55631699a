"""Batch normalisation on the compiled CPU kernels, as a torch operator with its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.cpu import call as native


class _Arguments(native.KernelArguments):
    """The C struct ``batch_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("a", "y", "p", "q", "r", "c", "lengths"),
        *native.flags("a", "p", "lengths"),
        *native.pointers("out", "sums"),
        *native.integers("B", "T", "D", "keep", "threads"),
    ]
    dtypes = {"lengths": torch.int64, "sums": torch.float64}  # noqa: RUF012


def _sums(y: Tensor, c: Tensor, lengths: Tensor | None, a: Tensor | None = None) -> Tensor:
    """Sums of a and of a (y - c) over all steps, (2, D) float64; a is y - c where none is given."""
    sums = native.fresh((y.shape[0], 2, y.shape[2]), y, torch.float64)
    native.run(
        "batch_sums",
        _Arguments,
        y.dtype,
        a=a,
        y=y,
        c=c,
        lengths=lengths,
        sums=sums,
        **native.sizes(y),
    )
    return sums.sum(0)


def _affine(
    y: Tensor,
    q: Tensor,
    r: Tensor,
    lengths: Tensor | None,
    a: Tensor | None = None,
    p: Tensor | None = None,
    *,
    keep: bool = False,
) -> Tensor:
    """p a + q y + r, where p is one and a zero if not given; beyond a length a if kept, else 0."""
    out = native.fresh(y.shape, y)
    native.run(
        "batch_affine",
        _Arguments,
        y.dtype,
        a=a,
        y=y,
        p=None if p is None else p.to(y.dtype),
        q=q.to(y.dtype),
        r=r.to(y.dtype),
        lengths=lengths,
        out=out,
        keep=keep,
        **native.sizes(y),
    )
    return out


def _count(x: Tensor, lengths: Tensor | None) -> int | Tensor:
    return x.shape[0] * x.shape[1] if lengths is None else lengths.sum()


@operator("batch_norm_forward")
def batch_norm_forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    mean: Tensor | None,
    var: Tensor | None,
    lengths: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised sequences plus the residual, and mean and variance used, (D,) float64."""
    x = x.contiguous()
    if mean is None or var is None:
        # Sums about a value of the data itself, where little cancels.
        row = x[0, 0] if lengths is None else x[lengths.argmax(), 0]
        first, second = _sums(x, row, lengths) / _count(x, lengths)
        mean, var = row + first, (second - first.square()).clamp_(min=0)
    else:
        mean, var = mean.to(torch.float64, copy=True), var.to(torch.float64, copy=True)
    scale = weight * (var + eps).rsqrt()
    out = _affine(x, scale, bias - mean * scale, lengths, residual, keep=True)
    return out, mean, var


@batch_norm_forward.register_fake
def _(x: Tensor, *_: Any) -> tuple[Tensor, ...]:
    lanes = (x.shape[2],)
    return (
        native.fake(x.shape, x),
        native.fake(lanes, x, torch.float64),
        native.fake(lanes, x, torch.float64),
    )


@operator("batch_norm_backward")
def batch_norm_backward(
    g: Tensor,
    x: Tensor,
    weight: Tensor,
    mean: Tensor,
    var: Tensor,
    lengths: Tensor | None,
    eps: float,
    batch: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, weight and bias; with ``batch`` mean and variance are those of x."""
    g, x = g.contiguous(), x.contiguous()
    rstd = (var + eps).rsqrt()
    centre = mean.to(x.dtype)
    total, against = _sums(x, centre, lengths, g)
    scale = weight * rstd
    if batch:
        count = _count(x, lengths)
        slope = -scale * rstd.square() * against / count
        gx = _affine(x, slope, -scale * total / count - slope * mean, lengths, g, scale)
    else:
        zero = torch.zeros_like(scale)
        gx = _affine(x, zero, zero, lengths, g, scale)
    return gx, (against * rstd).to(weight.dtype), total.to(weight.dtype)


@batch_norm_backward.register_fake
def _(g: Tensor, x: Tensor, weight: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return native.fake(x.shape, x), torch.empty_like(weight), torch.empty_like(weight)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, _, residual, mean, _, lengths, ctx.eps = inputs
    ctx.batch, ctx.joined = mean is None, residual is not None
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, weight, *output[1:], lengths)


def _backward(ctx: Any, g: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    if g is None:
        return (None,) * 8
    x, weight, mean, var, lengths = ctx.saved_tensors
    grads = batch_norm_backward(g, x, weight, mean, var, lengths, ctx.eps, ctx.batch)
    return (*grads, g if ctx.joined else None, None, None, None, None)


batch_norm_forward.register_autograd(_backward, setup_context=_setup)
batch_norm_backward.refuse_derivative("batch_norm")
