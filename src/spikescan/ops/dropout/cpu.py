"""Dropout on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
from spikescan.ops.dropout import contract
from spikescan.ops.dropout.contract import Forward


def _forward(given: Forward) -> Tensor:
    x = given.x.contiguous()
    y = native.fresh(x.shape, x)
    native.run(
        "dropout_forward", x.dtype, x=x, key=given.key, y=y, least=given.least,
        factor=given.factor, N=x.numel(), threads=native.threads_for(x.numel()),
    )  # fmt: skip
    return y


forward = Operator(
    "dropout_forward",
    Forward,
    results=1,
    kernel=_forward,
    fake=lambda given: native.fake(given.x.shape, given.x),
    gradient=contract.gradient,
)
