"""Resonate-and-fire on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.cpu import call as native
from spikescan.ops.resonate import contract
from spikescan.ops.resonate.coefficients import table


class _Arguments(native.KernelArguments):
    """The C struct ``resonate_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("x", "p", "q", "gain", "u0", "r0", "gs", "gm", "gu", "gr", "lengths"),
        *native.flags("u0", "r0", "gs", "gm", "gu", "gr", "lengths"),
        *native.strides("x", "gs", "gm"),
        *native.pointers("s", "membrane", "u", "r", "checkpoints", "gx", "gu0", "gr0"),
        *native.pointers("parameters", "gpqg", "gparameters"),
        *native.flags("membrane", "checkpoints", "gpqg"),
        *native.integers("B", "T", "D", "surrogate", "threads"),
        *native.doubles("threshold", "alpha"),
    ]
    dtypes = {  # noqa: RUF012
        "lengths": torch.int64,
        "parameters": torch.float64,
        "gpqg": torch.float64,
        "gparameters": torch.float64,
    }


@operator("resonate_forward")
def resonate_forward(
    x: Tensor,
    parameters: Tensor,
    u0: Tensor | None,
    r0: Tensor | None,
    lengths: Tensor | None,
    threshold: float,
    surrogate: int,
    alpha: float,
    membrane: bool,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Spikes, membrane (empty unless asked), u, r, checkpoints (empty unless saved); the
    coefficients (3, D)."""
    rows = table(parameters, x.dtype)
    p, q, gain = rows.unbind()
    s, m, u, r, checkpoints = contract.outputs(x, membrane, save, native.SPAN, native.fresh)
    native.run(
        "resonate_forward",
        _Arguments,
        x.dtype,
        x=x,
        p=p,
        q=q,
        gain=gain,
        u0=u0,
        r0=r0,
        lengths=lengths,
        s=s,
        membrane=m if membrane else None,
        u=u,
        r=r,
        checkpoints=checkpoints if save else None,
        threshold=threshold,
        **native.sizes(x),
    )
    return s, m, u, r, checkpoints, rows


@operator("resonate_backward")
def resonate_backward(
    x: Tensor,
    parameters: Tensor,
    rows: Tensor,
    checkpoints: Tensor,
    lengths: Tensor | None,
    gs: Tensor | None,
    gm: Tensor | None,
    gu: Tensor | None,
    gr: Tensor | None,
    threshold: float,
    surrogate: int,
    alpha: float,
    need_parameters: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, of (delta, theta, tau) as rows (3, D) float64 or empty, of u0 and r0."""
    p, q, gain = rows.unbind()
    gx, own, gu0, gr0 = contract.gradients(x, need_parameters, native.fresh)
    # Of p, q and gain, for each row of the batch.
    gpqg = native.fresh((x.shape[0], *own.shape), x, torch.float64)
    native.run(
        "resonate_backward",
        _Arguments,
        x.dtype,
        x=x,
        p=p,
        q=q,
        gain=gain,
        gu=gu,
        gr=gr,
        checkpoints=checkpoints,
        lengths=lengths,
        gs=gs,
        gm=gm,
        gx=gx,
        parameters=parameters,
        gpqg=gpqg if need_parameters else None,
        gparameters=own,
        gu0=gu0,
        gr0=gr0,
        surrogate=surrogate,
        threshold=threshold,
        alpha=alpha,
        **native.sizes(x),
    )
    return gx, own, gu0, gr0


contract.connect(resonate_forward, resonate_backward, native.SPAN)
