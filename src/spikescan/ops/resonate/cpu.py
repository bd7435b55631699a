"""Resonate-and-fire on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.pair import pair
from spikescan.ops._core.registration import Operator
from spikescan.ops.resonate import contract
from spikescan.ops.resonate.coefficients import table


def _outputs(given: contract.Forward, empty: native.Empty) -> tuple[Tensor, ...]:
    return contract.outputs(given, native.constants("resonate")["SPAN"], empty)


def _forward(given: contract.Forward) -> tuple[Tensor, ...]:
    s, membrane, u, r, checkpoints, rows = results = _outputs(given, native.fresh)
    native.run(
        "resonate_forward", given.x.dtype, given, exact=table(given.parameters), rows=rows,
        s=s, membrane=membrane, u=u, r=r, checkpoints=checkpoints, **native.sizes(given.x),
    )  # fmt: skip
    return results


@native.once
def _exact(_: torch.dtype, log_delta: Tensor, log_theta: Tensor, log_tau: Tensor) -> Tensor:
    return table(torch.stack((log_delta.exp(), log_theta.exp(), log_tau.exp())).double())


def _step(given: contract.Step) -> tuple[Tensor, Tensor, Tensor]:
    s, u, r = results = contract.step_outputs(given, native.fresh)
    x = given.x
    native.run(
        "resonate_forward", x.dtype, x=x, u0=given.u0, r0=given.r0, threshold=given.threshold,
        exact=_exact(x.dtype, given.log_delta, given.log_theta, given.log_tau),
        rows=native.fresh((3, x.shape[2]), x), s=s, u=u, r=r, **native.sizes(x),
    )  # fmt: skip
    return results


def _backward(given: contract.Backward) -> tuple[Tensor, ...]:
    results = contract.gradient_outputs(given, native.fresh)
    gx, gparameters, gthresholds, gu0, gr0 = results
    # Of p, q and gain, for each row of the batch.
    gpqg = native.fresh((given.x.shape[0], *gparameters.shape), given.x, torch.float64)
    native.run(
        "resonate_backward", given.x.dtype, given, gx=gx, gpqg=gpqg, gparameters=gparameters,
        gthresholds=gthresholds, gu0=gu0, gr0=gr0, **native.sizes(given.x),
    )  # fmt: skip
    return results


forward, backward = pair(
    "resonate_{}", contract, forward=_forward, backward=_backward, results=(6, 5),
    fake=lambda given: _outputs(given, native.fake), empty=native.fake,
)  # fmt: skip
step = Operator(
    "resonate_step",
    contract.Step,
    results=3,
    kernel=_step,
    fake=lambda given: contract.step_outputs(given, native.fake),
)
