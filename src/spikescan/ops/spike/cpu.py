"""Spikes without memory on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
from spikescan.ops.spike import contract


class _Arguments(native.KernelArguments):
    """The C struct ``spike_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("x", "threshold", "gs", "lengths"),
        *native.flags("lengths"),
        *native.strides("x", "gs"),
        *native.pointers("s", "gx", "gthreshold"),
        *native.flags("gthreshold"),
        *native.integers("B", "T", "D", "surrogate", "threads"),
        *native.doubles("alpha"),
    ]
    dtypes = {"lengths": torch.int64, "gthreshold": torch.float64}  # noqa: RUF012


def _forward(given: contract.Forward) -> Tensor:
    x = given.x
    s = contract.output(given, native.fresh)
    native.run(
        "spike_forward",
        _Arguments,
        x.dtype,
        x=x,
        threshold=given.threshold,
        lengths=given.lengths,
        s=s,
        **native.sizes(x),
    )
    return s


def _backward(given: contract.Backward) -> tuple[Tensor, Tensor]:
    x = given.x
    gx, gthreshold = contract.gradient_outputs(given, native.fresh)
    native.run(
        "spike_backward",
        _Arguments,
        x.dtype,
        x=x,
        threshold=given.threshold,
        lengths=given.lengths,
        gs=given.gs,
        gx=gx,
        gthreshold=gthreshold if given.learn else None,
        surrogate=given.surrogate,
        alpha=given.alpha,
        **native.sizes(x),
    )
    return gx, gthreshold


backward = Operator(
    "spike_backward",
    contract.Backward,
    results=2,
    kernel=_backward,
    fake=lambda given: contract.gradient_outputs(given, native.fake),
)
forward = Operator(
    "spike_forward",
    contract.Forward,
    results=1,
    kernel=_forward,
    fake=lambda given: contract.output(given, native.fake),
    gradient=contract.gradient,
    backward=backward,
)
