"""LIF on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.cpu import call as native
from spikescan.ops.lif import contract


class _Arguments(native.KernelArguments):
    """The C struct ``lif_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("x", "beta", "v0", "gs", "gu", "gv", "lengths"),
        *native.flags("v0", "gs", "gu", "gv", "lengths"),
        *native.strides("x", "gs", "gu"),
        *native.pointers("s", "u", "v", "checkpoints", "gx", "gbeta", "gv0"),
        *native.flags("u", "checkpoints", "gbeta"),
        *native.integers("B", "T", "D", "reset", "detach", "surrogate", "threads"),
        *native.doubles("threshold", "v_reset", "alpha"),
    ]
    dtypes = {"lengths": torch.int64, "gbeta": torch.float64}  # noqa: RUF012


@operator("lif_forward")
def lif_forward(
    x: Tensor,
    beta: Tensor,
    v0: Tensor | None,
    lengths: Tensor | None,
    threshold: float,
    v_reset: float,
    reset: int,
    detach: bool,
    surrogate: int,
    alpha: float,
    membrane: bool,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes, membrane (empty unless asked), state, checkpoints (empty unless saved)."""
    s, u, v, checkpoints = contract.outputs(x, beta, membrane, save, native.SPAN, native.fresh)
    native.run(
        "lif_forward",
        _Arguments,
        x.dtype,
        x=x,
        beta=beta,
        v0=v0,
        lengths=lengths,
        s=s,
        u=u if membrane else None,
        v=v,
        checkpoints=checkpoints if save else None,
        reset=reset,
        threshold=threshold,
        v_reset=v_reset,
        **native.sizes(x),
    )
    return s, u, v, checkpoints


@operator("lif_backward")
def lif_backward(
    x: Tensor,
    beta: Tensor,
    checkpoints: Tensor,
    lengths: Tensor | None,
    gs: Tensor | None,
    gu: Tensor | None,
    gv: Tensor | None,
    threshold: float,
    v_reset: float,
    reset: int,
    detach: bool,
    surrogate: int,
    alpha: float,
    need_beta: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x (B, T, D), of beta for each row (B, D) float64 or empty, of v0 (B, D)."""
    gx, gbeta, gv0 = contract.gradients(x, beta, need_beta, native.fresh)
    native.run(
        "lif_backward",
        _Arguments,
        x.dtype,
        x=x,
        beta=beta,
        checkpoints=checkpoints,
        lengths=lengths,
        gs=gs,
        gu=gu,
        gv=gv,
        gx=gx,
        gbeta=gbeta if need_beta else None,
        gv0=gv0,
        reset=reset,
        detach=detach,
        surrogate=surrogate,
        threshold=threshold,
        v_reset=v_reset,
        alpha=alpha,
        **native.sizes(x),
    )
    return gx, gbeta, gv0


contract.connect(lif_forward, lif_backward, native.SPAN)
