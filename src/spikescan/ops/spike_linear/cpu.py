"""The product of spikes on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
from spikescan.ops.spike_linear import contract
from spikescan.ops.spike_linear.contract import WORD, Backward, Forward

_FEW = 4
"""Up to so many rows are done without tables; the C source's FEW."""


def _lines(outputs: int, like: Tensor) -> tuple[int, int]:
    """Number and width of the lines that hold so many outputs; the C source's GROUP and LINE."""
    line = 64 // like.element_size()
    return -(-outputs // (4 * line)) * 4, line


class _Arguments(native.KernelArguments):
    """The C struct ``product_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers(
            "s", "w", "bias", "g", "y", "rows", "tables", "gw", "gbias", "bits", "odd"
        ),
        *native.flags("bias", "gw", "gbias"),
        *native.integers("N", "K", "M", "chunk", "threads"),
    ]
    dtypes = {"bits": torch.int64, "odd": torch.uint8}  # noqa: RUF012


def _forward(given: Forward) -> tuple[Tensor, Tensor, Tensor]:
    s, weight = given.s, given.weight
    inputs, outputs = s.shape[1], weight.shape[0]
    y, bits, odd = contract.outputs(given, native.fresh)
    count, line = _lines(outputs, s) if s.shape[0] > _FEW else (0, 0)
    native.run(
        "product_forward",
        _Arguments,
        s.dtype,
        s=s,
        w=weight,
        bias=given.bias,
        y=y,
        rows=native.fresh((count, inputs, line), s),
        tables=native.fresh((count, bits.shape[1], WORD // 4, 16, line), s),
        bits=bits,
        odd=odd,
        N=s.shape[0],
        K=inputs,
        M=outputs,
        threads=native.threads_for(y.numel()),
    )
    return y, bits, odd


def _backward(given: Backward) -> tuple[Tensor, Tensor]:
    g, inputs, (rows, outputs) = given.g, given.inputs, given.g.shape
    # Sums of their own for each chunk of rows must stay small against the spikes.
    chunk = -(-max(512, 8 * outputs) // WORD) * WORD
    chunks = -(-rows // chunk)
    count, line = _lines(outputs, g)
    gw = native.fresh((chunks, count, inputs, line) if given.learn else (0,), g)
    gbias = native.fresh((chunks, count * line) if given.lift else (0,), g)
    native.run(
        "product_backward",
        _Arguments,
        g.dtype,
        s=given.s,
        g=g,
        gw=gw if given.learn else None,
        gbias=gbias if given.lift else None,
        bits=given.bits,
        odd=given.odd,
        N=rows,
        K=inputs,
        M=outputs,
        chunk=chunk,
        threads=native.threads_for(g.numel()),
    )
    if given.learn:
        gw = gw.sum(0).transpose(1, 2).reshape(count * line, inputs)[:outputs].contiguous()
    return gw, gbias.sum(0)[:outputs].contiguous() if given.lift else gbias


backward = Operator(
    "spike_linear_backward",
    Backward,
    results=2,
    kernel=_backward,
    fake=lambda given: contract.gradient_outputs(given, native.fake),
)
forward = Operator(
    "spike_linear_forward",
    Forward,
    results=3,
    kernel=_forward,
    fake=lambda given: contract.outputs(given, native.fake),
    gradient=contract.gradient,
    backward=backward,
)
