"""Resonate-and-fire on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import operator
from spikescan.ops.resonate import contract
from spikescan.ops.resonate.coefficients import table


class _Arguments(native.KernelArguments):
    """The C struct ``resonate_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("x", "p", "q", "gain", "u0", "r0", "gs", "gm", "gu", "gr", "lengths"),
        *native.strides("x", "gs", "gm"),
        *native.pointers("s", "membrane", "u", "r", "checkpoints", "gx", "gu0", "gr0"),
        *native.pointers("parameters", "gpqg", "gparameters"),
        *native.integers("B", "T", "D", "surrogate", "threads"),
        *native.doubles("threshold", "alpha"),
    ]


def _coefficients(rows: Tensor) -> dict[str, int]:
    """The fields p, q and gain, rows of one contiguous tensor."""
    row = rows.shape[1] * rows.element_size()
    return {name: rows.data_ptr() + i * row for i, name in enumerate(("p", "q", "gain"))}


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
    u0, r0 = (None if t is None else t.contiguous() for t in (u0, r0))
    s, m, u, r, checkpoints = contract.outputs(x, membrane, save, native.SPAN, native.fresh)
    native.call(
        "resonate_forward",
        x.dtype,
        _Arguments(
            x=x.data_ptr(),
            x_stride=native.strides_of(x),
            **_coefficients(rows),
            u0=native.address(u0),
            r0=native.address(r0),
            lengths=native.address(lengths),
            s=s.data_ptr(),
            membrane=m.data_ptr() if membrane else None,
            u=u.data_ptr(),
            r=r.data_ptr(),
            checkpoints=checkpoints.data_ptr() if save else None,
            threshold=threshold,
            **native.sizes(x),
        ),
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
    parameters, rows = parameters.contiguous(), rows.contiguous()
    gu, gr = (None if t is None else t.contiguous() for t in (gu, gr))
    gx, own, gu0, gr0 = contract.gradients(x, need_parameters, native.fresh)
    # Of p, q and gain, for each row of the batch.
    gpqg = native.fresh((x.shape[0], *own.shape), x, torch.float64)
    native.call(
        "resonate_backward",
        x.dtype,
        _Arguments(
            x=x.data_ptr(),
            x_stride=native.strides_of(x),
            **_coefficients(rows),
            gu=native.address(gu),
            gr=native.address(gr),
            checkpoints=checkpoints.data_ptr(),
            lengths=native.address(lengths),
            **native.strided("gs", gs),
            **native.strided("gm", gm),
            gx=gx.data_ptr(),
            parameters=parameters.data_ptr(),
            gpqg=gpqg.data_ptr() if need_parameters else None,
            gparameters=own.data_ptr(),
            gu0=gu0.data_ptr(),
            gr0=gr0.data_ptr(),
            surrogate=surrogate,
            threshold=threshold,
            alpha=alpha,
            **native.sizes(x),
        ),
    )
    return gx, own, gu0, gr0


contract.connect(resonate_forward, resonate_backward, native.SPAN)
