"""Batch normalisation on the compiled CPU kernels, as torch operators."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
from spikescan.ops.batch_norm import contract


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


def _forward(given: contract.Forward) -> tuple[Tensor, Tensor, Tensor]:
    x, lengths = given.x.contiguous(), given.lengths
    if given.mean is None or given.var is None:
        # Sums about a value of the data itself, where little cancels.
        row = x[0, 0] if lengths is None else x[lengths.argmax(), 0]
        first, second = _sums(x, row, lengths) / _count(x, lengths)
        mean, var = row + first, (second - first.square()).clamp_(min=0)
    else:
        mean, var = (t.to(torch.float64, copy=True) for t in (given.mean, given.var))
    scale = given.weight * (var + given.eps).rsqrt()
    out = _affine(x, scale, given.bias - mean * scale, lengths, given.residual, keep=True)
    return out, mean, var


def _backward(given: contract.Backward) -> tuple[Tensor, ...]:
    g, x, weight, mean, var, lengths, eps, batch = given
    g, x = g.contiguous(), x.contiguous()
    rstd = (var + eps).rsqrt()
    total, against = _sums(x, mean.to(x.dtype), lengths, g)
    scale = weight * rstd
    slope = -scale * rstd.square() * against
    if batch:
        count = _count(x, lengths)
        slope = slope / count
        gx = _affine(x, slope, -scale * total / count - slope * mean, lengths, g, scale)
        gmean, gvar = scale.new_empty(0), scale.new_empty(0)
    else:
        zero = torch.zeros_like(scale)
        gx = _affine(x, zero, zero, lengths, g, scale)
        gmean, gvar = -scale * total, slope / 2
    own = ((against * rstd).to(weight.dtype), total.to(weight.dtype, copy=True))
    return gx, *own, gmean, gvar


backward = Operator(
    "batch_norm_backward",
    contract.Backward,
    results=5,
    kernel=_backward,
    fake=lambda given: contract.gradient_outputs(given, native.fake),
)
forward = Operator(
    "batch_norm_forward",
    contract.Forward,
    results=3,
    kernel=_forward,
    fake=lambda given: contract.outputs(given, native.fake),
    gradient=contract.gradient,
    backward=backward,
)
