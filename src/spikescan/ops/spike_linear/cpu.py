"""The product of spikes on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.cpu import bfloat16
from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.pair import pair
from spikescan.ops.spike_linear import contract
from spikescan.ops.spike_linear.contract import WORD, Backward, Forward

_MANY = 4096
"""Rows from which on our product is the faster one (measured on AVX-512 against torch.mm)."""


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


def _backward(given: Backward) -> tuple[Tensor, Tensor, Tensor]:
    gs = _product(given) if given.want_gs else native.fresh((0,), given.gy)
    if not (given.want_gweight or given.want_gbias):
        return gs, native.fresh((0,), given.gy), native.fresh((0,), given.gy)
    gy, (outputs, inputs), rows = given.gy, given.weight.shape, given.gy.shape[0]
    # Sums of their own for each chunk of rows must stay small against the spikes.
    chunk = -(-max(512, 8 * outputs) // WORD) * WORD
    chunks = -(-rows // chunk)
    count, line = _lines(outputs, gy)
    tiles = _tiles(given)
    room = _whole(inputs, native.constants("spike_linear")["TERMS"]) if tiles else inputs
    gweight = native.fresh((chunks, count, room, line) if given.want_gweight else (0,), gy)
    gbias = native.fresh((chunks, count * line) if given.want_gbias else (0,), gy)
    native.run(
        "spike_linear_backward", gy.dtype,
        s=given.s, bits=given.bits, odd=given.odd, gy=gy, gweight=gweight, gbias=gbias,
        want_gweight=given.want_gweight, want_gbias=given.want_gbias, tiles=tiles,
        N=rows, K=inputs, M=outputs, chunk=chunk, room=room, threads=native.threads_for(gy.numel()),
    )  # fmt: skip
    if given.want_gweight:
        summed = gweight.sum(0).transpose(1, 2)
        gweight = summed.reshape(count * line, room)[:outputs, :inputs].contiguous()
    return gs, gweight, gbias.sum(0)[:outputs].contiguous() if given.want_gbias else gbias


def _tiles(given: Backward) -> bool:
    """Whether both gradients are for the tiles of AMX."""
    constants = native.constants("spike_linear", given.gy.dtype)
    return (
        given.half
        and bool(constants["TILES"])
        and bfloat16() == "tiles"
        and len(given.gy) >= _MANY
        and max(given.weight.shape) <= constants["LONGEST"]
    )


def _whole(n: int, of: int) -> int:
    return -(-n // of) * of


def _product(given: Backward) -> Tensor:
    """Gradient of the spikes: by our kernel where it is the faster one, else by torch."""
    gy, weight, half = given.gy, given.weight, given.half
    (outputs, inputs), constants = weight.shape, native.constants("spike_linear", gy.dtype)
    if (
        not constants["DENSE"]
        or len(gy) < _MANY
        or outputs > constants["LONGEST"]
        or (half and bfloat16() == "other")
    ):
        return (gy.bfloat16() @ weight.bfloat16()).to(gy.dtype) if half else gy @ weight
    panel, tiles = constants["PANEL"], _tiles(given)
    terms = _whole(outputs, constants["TERMS"] if tiles else 2)
    gs = native.fresh((len(gy), inputs), gy)
    native.run(
        "spike_linear_product", gy.dtype, gy=gy, weight=weight, gs=gs, half=half,
        panels=native.fresh((-(-inputs // panel), terms, panel), gy), tiles=tiles,
        N=len(gy), K=inputs, M=outputs, threads=native.threads_for(gs.numel()),
    )  # fmt: skip
    return gs


forward, backward = pair(
    "spike_linear_{}", contract, forward=_forward, backward=_backward, results=(3, 3),
    fake=lambda given: contract.outputs(given, native.fake), empty=native.fake,
)  # fmt: skip
