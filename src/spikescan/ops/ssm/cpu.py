"""Sequences as channels and back on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
from spikescan.ops.ssm import contract


def _run(given: contract.Turn) -> Tensor:
    out = contract.output(given, native.fresh)
    sequences, channels = (out, given.x) if given.back else (given.x, out)
    native.run(
        "ssm_turn",
        given.x.dtype,
        sequences=sequences,
        channels=channels,
        P=channels.shape[2],
        back=given.back,
        **native.sizes(sequences),
    )
    return out


turn = Operator(
    "ssm_turn",
    contract.Turn,
    results=1,
    kernel=_run,
    fake=lambda given: contract.output(given, native.fake),
    gradient=contract.gradient,
)
