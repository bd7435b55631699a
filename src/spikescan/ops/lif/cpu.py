"""LIF on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
from spikescan.ops.lif import contract


class _Arguments(native.KernelArguments):
    """The C struct ``lif_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("x", "beta", "levels", "v0", "gs", "gu", "gv", "lengths"),
        *native.flags("levels", "v0", "gs", "gu", "gv", "lengths"),
        *native.strides("x", "gs", "gu"),
        *native.pointers("s", "u", "v", "checkpoints", "gx", "gbeta", "glevels", "gv0"),
        *native.flags("u", "checkpoints", "gbeta", "glevels"),
        *native.integers("B", "T", "D", "reset", "detach", "surrogate", "threads"),
        *native.doubles("threshold", "v_reset", "alpha"),
    ]
    dtypes = {  # noqa: RUF012
        "lengths": torch.int64,
        "gbeta": torch.float64,
        "glevels": torch.float64,
    }


def _forward(given: contract.Forward) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    s, u, v, checkpoints = contract.outputs(given, native.SPAN, native.fresh)
    native.run(
        "lif_forward",
        _Arguments,
        given.x.dtype,
        x=given.x,
        beta=given.beta,
        levels=given.levels,
        v0=given.v0,
        lengths=given.lengths,
        s=s,
        u=u if given.membrane else None,
        v=v,
        checkpoints=checkpoints if given.save else None,
        reset=given.reset,
        threshold=given.threshold,
        v_reset=given.v_reset,
        **native.sizes(given.x),
    )
    return s, u, v, checkpoints


def _backward(given: contract.Backward) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    gx, gbeta, glevels, gv0 = contract.gradient_outputs(given, native.fresh)
    native.run(
        "lif_backward",
        _Arguments,
        given.x.dtype,
        x=given.x,
        beta=given.beta,
        levels=given.levels,
        checkpoints=given.checkpoints,
        lengths=given.lengths,
        gs=given.gs,
        gu=given.gu,
        gv=given.gv,
        gx=gx,
        gbeta=gbeta if given.learn else None,
        glevels=glevels if given.lift else None,
        gv0=gv0,
        reset=given.reset,
        detach=given.detach,
        surrogate=given.surrogate,
        threshold=given.threshold,
        v_reset=given.v_reset,
        alpha=given.alpha,
        **native.sizes(given.x),
    )
    return gx, gbeta, glevels, gv0


backward = Operator(
    "lif_backward",
    contract.Backward,
    results=4,
    kernel=_backward,
    fake=lambda given: contract.gradient_outputs(given, native.fake),
)
forward = Operator(
    "lif_forward",
    contract.Forward,
    results=4,
    kernel=_forward,
    fake=lambda given: contract.outputs(given, native.SPAN, native.fake),
    gradient=contract.gradient,
    backward=backward,
)
