"""Batch normalisation on the compiled CPU kernels, as torch operators."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.pair import pair
from spikescan.ops.batch_norm import contract


def _sums(y: Tensor, c: Tensor, lengths: Tensor | None, z: Tensor | None = None) -> Tensor:
    """Sums of z and of z (y - c) over all steps, (2, D) float64; z is y - c where none is given."""
    sums = native.fresh((y.shape[0], 2, y.shape[2]), y, torch.float64)
    native.run(
        "batch_norm_sums", y.dtype, z=z, y=y, c=c, lengths=lengths, sums=sums, **native.sizes(y)
    )
    return sums.sum(0)


def _affine(
    y: Tensor,
    q: Tensor,
    r: Tensor,
    lengths: Tensor | None,
    z: Tensor | None = None,
    p: Tensor | None = None,
    *,
    keep: bool = False,
) -> Tensor:
    """p z + q y + r, where p is one and z zero if not given; beyond a length z if kept, else 0."""
    out = native.fresh(y.shape, y)
    native.run(
        "batch_norm_affine",
        y.dtype,
        z=z,
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
    gout, x, weight, mean, var, lengths, eps, batch = given
    gout, x = gout.contiguous(), x.contiguous()
    rstd = (var + eps).rsqrt()
    total, against = _sums(x, mean.to(x.dtype), lengths, gout)
    scale = weight * rstd
    slope = -scale * rstd.square() * against
    if batch:
        count = _count(x, lengths)
        slope = slope / count
        gx = _affine(x, slope, -scale * total / count - slope * mean, lengths, gout, scale)
        gmean, gvar = scale.new_empty(0), scale.new_empty(0)
    else:
        zero = torch.zeros_like(scale)
        gx = _affine(x, zero, zero, lengths, gout, scale)
        gmean, gvar = -scale * total, slope / 2
    own = ((against * rstd).to(weight.dtype), total.to(weight.dtype, copy=True))
    return gx, *own, gmean, gvar


forward, backward = pair(
    "batch_norm_{}", contract, forward=_forward, backward=_backward, results=(3, 5),
    fake=lambda given: contract.outputs(given, native.fake), empty=native.fake,
)  # fmt: skip
