"""Dynamic decay on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.pair import pair
from spikescan.ops._core.registration import Operator
from spikescan.ops.dsn import contract


def _outputs(given: contract.Forward, empty: native.Empty) -> tuple[Tensor, ...]:
    return contract.outputs(given, native.constants("dsn")["SPAN"], empty)


def _weights(given: contract.Forward | contract.Backward) -> dict[str, Any]:
    """Weights and bias as the kernel reads them."""
    return {
        "weight": contract.rows(given.weight, given.bias),
        "taps": contract.taps(given.weight),
    }


def _forward(given: contract.Forward) -> tuple[Tensor, ...]:
    s, membrane, h, inputs, checkpoints = results = _outputs(given, native.fresh)
    native.run(
        "dsn_forward", given.x.dtype, given._replace(weight=None, bias=None), **_weights(given),
        s=s, membrane=membrane, h=h, inputs=inputs, checkpoints=checkpoints,
        **native.sizes(given.x),
    )  # fmt: skip
    return results


@native.once
def _rows(dtype: torch.dtype, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.cat((weight.to(dtype).t(), bias.to(dtype)[None]))


def _step(given: contract.Step) -> tuple[Tensor, Tensor, Tensor]:
    s, h, inputs = results = contract.step_outputs(given, native.fresh)
    x = given.x
    native.run(
        "dsn_forward", x.dtype, x=x, weight=_rows(x.dtype, given.weight, given.bias),
        taps=contract.taps(given.weight), h0=given.h0, inputs0=given.inputs0,
        exponent=given.exponent, levels=given.levels, s=s, h=h, inputs=inputs, **native.sizes(x),
    )  # fmt: skip
    return results


def _backward(given: contract.Backward) -> tuple[Tensor, ...]:
    gx, galpha, gweight, gh0, ginputs0 = results = contract.gradient_outputs(given, native.fresh)
    native.run(
        "dsn_backward", given.x.dtype, given._replace(weight=None, bias=None), **_weights(given),
        gx=gx, galpha=galpha, gweight=gweight, gh0=gh0, ginputs0=ginputs0,
        **native.sizes(given.x),
    )  # fmt: skip
    return results


forward, backward = pair(
    "dsn_{}", contract, forward=_forward, backward=_backward, results=(5, 5),
    fake=lambda given: _outputs(given, native.fake), empty=native.fake,
)  # fmt: skip
step = Operator(
    "dsn_step",
    contract.Step,
    results=3,
    kernel=_step,
    fake=lambda given: contract.step_outputs(given, native.fake),
)
