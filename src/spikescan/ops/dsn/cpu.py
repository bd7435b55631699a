"""Dynamic decay on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
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


def _forward(given: contract.Forward) -> tuple[Tensor, ...]:
    x = given.x
    s, m, h, last, checkpoints = contract.outputs(given, native.SPAN, native.fresh)
    native.run(
        "dsn_forward",
        _Arguments,
        x.dtype,
        x=x,
        alpha=given.alpha,
        weight=contract.rows(given.weight, given.bias),
        h0=given.h0,
        inputs=given.inputs,
        lengths=given.lengths,
        s=s,
        membrane=m if given.membrane else None,
        h=h,
        last=last,
        checkpoints=checkpoints if given.save else None,
        taps=contract.taps(given.weight),
        levels=given.levels,
        exponent=given.exponent,
        **native.sizes(x),
    )
    return s, m, h, last, checkpoints


def _backward(given: contract.Backward) -> tuple[Tensor, ...]:
    x = given.x
    gx, galpha, gweight, gh0, ginputs = contract.gradient_outputs(given, native.fresh)
    native.run(
        "dsn_backward",
        _Arguments,
        x.dtype,
        x=x,
        alpha=given.alpha,
        weight=contract.rows(given.weight, given.bias),
        inputs=given.inputs,
        lengths=given.lengths,
        checkpoints=given.checkpoints,
        gs=given.gs,
        gm=given.gm,
        gh=given.gh,
        glast=given.glast,
        gx=gx,
        galpha=galpha if given.need_alpha else None,
        gweight=gweight if given.need_weight else None,
        gh0=gh0,
        ginputs=ginputs,
        taps=contract.taps(given.weight),
        levels=given.levels,
        surrogate=given.surrogate,
        exponent=given.exponent,
        surrogate_parameter=given.surrogate_parameter,
        **native.sizes(x),
    )
    return gx, galpha, gweight, gh0, ginputs


backward = Operator(
    "dsn_backward",
    contract.Backward,
    results=5,
    kernel=_backward,
    fake=lambda given: contract.gradient_outputs(given, native.fake),
)
forward = Operator(
    "dsn_forward",
    contract.Forward,
    results=5,
    kernel=_forward,
    fake=lambda given: contract.outputs(given, native.SPAN, native.fake),
    gradient=contract.gradient,
    backward=backward,
)
