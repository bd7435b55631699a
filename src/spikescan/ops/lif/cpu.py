"""LIF on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.pair import pair
from spikescan.ops._core.registration import Operator
from spikescan.ops.lif import contract

Given = TypeVar("Given", contract.Forward, contract.Backward)


def _outputs(given: contract.Forward, empty: native.Empty) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return contract.outputs(given, native.constants("lif")["SPAN"], empty)


_decay = native.once(contract.decay)


def _with_beta(given: Given) -> Given:
    if given.leak is None:
        return given
    return given._replace(beta=_decay(given.x.dtype, given.leak), leak=None)


def _forward(given: contract.Forward) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    s, membrane, v, checkpoints = results = _outputs(given, native.fresh)
    native.run(
        "lif_forward", given.x.dtype, _with_beta(given),
        s=s, membrane=membrane, v=v, checkpoints=checkpoints, **native.sizes(given.x),
    )  # fmt: skip
    return results


def _step(given: contract.Step) -> tuple[Tensor, Tensor]:
    s, v = results = contract.step_outputs(given, native.fresh)
    x = given.x
    native.run(
        "lif_forward", x.dtype, x=x, beta=_decay(x.dtype, given.leak), v0=given.v0, s=s, v=v,
        threshold=given.threshold, v_reset=given.v_reset, reset=given.reset, **native.sizes(x),
    )  # fmt: skip
    return results


def _backward(given: contract.Backward) -> tuple[Tensor | None, ...]:
    gx, gbeta, gthresholds, gv0 = results = contract.gradient_outputs(given, native.fresh)
    native.run(
        "lif_backward", given.x.dtype, _with_beta(given),
        gx=gx, gbeta=gbeta, gthresholds=gthresholds, gv0=gv0, **native.sizes(given.x),
    )  # fmt: skip
    return results


forward, backward = pair(
    "lif_{}", contract, forward=_forward, backward=_backward, results=(4, 4),
    fake=lambda given: _outputs(given, native.fake), empty=native.fake,
)  # fmt: skip
step = Operator(
    "lif_step",
    contract.Step,
    results=2,
    kernel=_step,
    fake=lambda given: contract.step_outputs(given, native.fake),
)
