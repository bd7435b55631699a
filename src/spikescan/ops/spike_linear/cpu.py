"""The product of spikes on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.pair import pair
from spikescan.ops.spike_linear import contract
from spikescan.ops.spike_linear.contract import WORD, Backward, Forward


def _lines(outputs: int, like: Tensor) -> tuple[int, int]:
    """Number and width of the lines that hold so many outputs."""
    constants = native.constants("spike_linear", like.dtype)
    line, group = constants["LINE"], constants["GROUP"]
    return -(-outputs // (group * line)) * group, line


def _forward(given: Forward) -> tuple[Tensor, Tensor, Tensor]:
    s, (rows, inputs), outputs = given.s, given.s.shape, given.weight.shape[0]
    y, bits, odd = contract.outputs(given, native.fresh)
    # Few rows are done without tables.
    tabled = rows > native.constants("spike_linear")["FEW"]
    count, line = _lines(outputs, s) if tabled else (0, 0)
    native.run(
        "spike_linear_forward", s.dtype,
        s=s, weight=given.weight, bias=given.bias, y=y, bits=bits, odd=odd,
        lines=native.fresh((count, inputs, line), s),
        tables=native.fresh((count, bits.shape[1], WORD // 4, 16, line), s),
        N=rows, K=inputs, M=outputs, threads=native.threads_for(y.numel()),
    )  # fmt: skip
    return y, bits, odd


def _backward(given: Backward) -> tuple[Tensor, Tensor]:
    gy, inputs, (rows, outputs) = given.gy, given.K, given.gy.shape
    # Sums of their own for each chunk of rows must stay small against the spikes.
    chunk = -(-max(512, 8 * outputs) // WORD) * WORD
    chunks = -(-rows // chunk)
    count, line = _lines(outputs, gy)
    gweight = native.fresh((chunks, count, inputs, line) if given.want_gweight else (0,), gy)
    gbias = native.fresh((chunks, count * line) if given.want_gbias else (0,), gy)
    native.run(
        "spike_linear_backward", gy.dtype, given, gweight=gweight, gbias=gbias,
        N=rows, M=outputs, chunk=chunk, threads=native.threads_for(gy.numel()),
    )  # fmt: skip
    if given.want_gweight:
        summed = gweight.sum(0).transpose(1, 2)
        gweight = summed.reshape(count * line, inputs)[:outputs].contiguous()
    return gweight, gbias.sum(0)[:outputs].contiguous() if given.want_gbias else gbias


forward, backward = pair(
    "spike_linear_{}", contract, forward=_forward, backward=_backward, results=(3, 2),
    fake=lambda given: contract.outputs(given, native.fake), empty=native.fake,
)  # fmt: skip
