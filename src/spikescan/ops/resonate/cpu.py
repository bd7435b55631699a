"""Resonate-and-fire on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
from spikescan.ops.resonate import contract
from spikescan.ops.resonate.coefficients import table


class _Arguments(native.KernelArguments):
    """The C struct ``resonate_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("x", "thresholds", "u0", "r0", "gs", "gm", "gu", "gr", "lengths"),
        *native.flags("thresholds", "u0", "r0", "gs", "gm", "gu", "gr", "lengths"),
        *native.strides("x", "gs", "gm"),
        *native.pointers("exact", "rows"),
        *native.pointers("s", "membrane", "u", "r", "checkpoints", "gx", "gu0", "gr0"),
        *native.pointers("parameters", "gpqg", "gparameters", "gthresholds"),
        *native.flags("membrane", "checkpoints", "gpqg", "gthresholds"),
        *native.integers("B", "T", "D", "surrogate", "threads"),
        *native.doubles("threshold", "alpha"),
    ]
    dtypes = {  # noqa: RUF012
        "lengths": torch.int64,
        "exact": torch.float64,
        "parameters": torch.float64,
        "gpqg": torch.float64,
        "gparameters": torch.float64,
        "gthresholds": torch.float64,
    }


def _forward(given: contract.Forward) -> tuple[Tensor, ...]:
    s, m, u, r, checkpoints, rows = contract.outputs(given, native.SPAN, native.fresh)
    native.run(
        "resonate_forward",
        _Arguments,
        given.x.dtype,
        x=given.x,
        thresholds=given.thresholds,
        u0=given.u0,
        r0=given.r0,
        lengths=given.lengths,
        exact=table(given.parameters),
        rows=rows,
        s=s,
        membrane=m if given.membrane else None,
        u=u,
        r=r,
        checkpoints=checkpoints if given.save else None,
        threshold=given.threshold,
        **native.sizes(given.x),
    )
    return s, m, u, r, checkpoints, rows


def _backward(given: contract.Backward) -> tuple[Tensor, ...]:
    gx, own, gthresholds, gu0, gr0 = contract.gradient_outputs(given, native.fresh)
    # Of p, q and gain, for each row of the batch.
    gpqg = native.fresh((given.x.shape[0], *own.shape), given.x, torch.float64)
    native.run(
        "resonate_backward",
        _Arguments,
        given.x.dtype,
        x=given.x,
        thresholds=given.thresholds,
        gu=given.gu,
        gr=given.gr,
        checkpoints=given.checkpoints,
        lengths=given.lengths,
        gs=given.gs,
        gm=given.gm,
        rows=given.rows,
        gx=gx,
        parameters=given.parameters,
        gpqg=gpqg if given.learn else None,
        gparameters=own,
        gthresholds=gthresholds if given.lift else None,
        gu0=gu0,
        gr0=gr0,
        surrogate=given.surrogate,
        threshold=given.threshold,
        alpha=given.alpha,
        **native.sizes(given.x),
    )
    return gx, own, gthresholds, gu0, gr0


backward = Operator(
    "resonate_backward",
    contract.Backward,
    results=5,
    kernel=_backward,
    fake=lambda given: contract.gradient_outputs(given, native.fake),
)
forward = Operator(
    "resonate_forward",
    contract.Forward,
    results=6,
    kernel=_forward,
    fake=lambda given: contract.outputs(given, native.SPAN, native.fake),
    gradient=contract.gradient,
    backward=backward,
)
