"""Dynamic decay on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.cpu import call as native
from spikescan.ops.dsn import contract


class _Arguments(native.KernelArguments):
    """The C struct ``dsn_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("x", "alpha", "weight", "h0", "inputs", "gs", "gm", "gh", "glast"),
        *native.pointers("lengths"),
        *native.flags("alpha", "h0", "inputs", "gs", "gm", "gh", "glast", "lengths"),
        *native.strides("x", "alpha", "gs", "gm"),
        *native.pointers("s", "membrane", "h", "last", "checkpoints"),
        *native.pointers("gx", "galpha", "gweight", "gh0", "ginputs"),
        *native.flags("membrane", "checkpoints", "galpha", "gweight"),
        *native.integers("B", "T", "D", "taps", "levels", "surrogate", "threads"),
        *native.doubles("exponent", "surrogate_parameter"),
    ]
    dtypes = {"lengths": torch.int64, "gweight": torch.float64}  # noqa: RUF012


@operator("dsn_forward")
def dsn_forward(
    x: Tensor,
    alpha: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    h0: Tensor | None,
    inputs: Tensor | None,
    lengths: Tensor | None,
    exponent: float,
    levels: int,
    surrogate: int,
    surrogate_parameter: float,
    membrane: bool,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Spikes, membrane (empty unless asked), h, last inputs, checkpoints (empty unless saved).

    Either ``alpha`` (B, T, D) is given or ``weight`` (D, k) and ``bias`` (D,).
    """
    s, m, h, last, checkpoints = contract.outputs(
        x, alpha, weight, membrane, save, native.SPAN, native.fresh
    )
    native.run(
        "dsn_forward",
        _Arguments,
        x.dtype,
        x=x,
        alpha=alpha,
        weight=contract.rows(weight, bias),
        h0=h0,
        inputs=inputs,
        lengths=lengths,
        s=s,
        membrane=m if membrane else None,
        h=h,
        last=last,
        checkpoints=checkpoints if save else None,
        taps=contract.taps(weight),
        levels=levels,
        exponent=exponent,
        **native.sizes(x),
    )
    return s, m, h, last, checkpoints


@operator("dsn_backward")
def dsn_backward(
    x: Tensor,
    alpha: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    inputs: Tensor | None,
    checkpoints: Tensor,
    lengths: Tensor | None,
    gs: Tensor | None,
    gm: Tensor | None,
    gh: Tensor | None,
    glast: Tensor | None,
    exponent: float,
    levels: int,
    surrogate: int,
    surrogate_parameter: float,
    need_alpha: bool,
    need_weight: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, of alpha (or empty), of weight and bias for each row (B, k + 1, D) float64
    (or empty), of h0, of the carried inputs."""
    gx, galpha, gweight, gh0, ginputs = contract.gradients(
        x, alpha, weight, need_alpha, need_weight, native.fresh
    )
    native.run(
        "dsn_backward",
        _Arguments,
        x.dtype,
        x=x,
        alpha=alpha,
        weight=contract.rows(weight, bias),
        inputs=inputs,
        lengths=lengths,
        checkpoints=checkpoints,
        gs=gs,
        gm=gm,
        gh=gh,
        glast=glast,
        gx=gx,
        galpha=galpha if need_alpha else None,
        gweight=gweight if need_weight else None,
        gh0=gh0,
        ginputs=ginputs,
        taps=contract.taps(weight),
        levels=levels,
        surrogate=surrogate,
        exponent=exponent,
        surrogate_parameter=surrogate_parameter,
        **native.sizes(x),
    )
    return gx, galpha, gweight, gh0, ginputs


contract.connect(dsn_forward, dsn_backward, native.SPAN)
