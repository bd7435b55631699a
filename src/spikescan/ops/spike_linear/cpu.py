"""The product of spikes on the compiled CPU kernel, as a torch operator with its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.cpu import call as native

_WORD = 64
"""Bits of a word, one for each spike; the C source's WORD."""
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


@operator("spike_linear_forward")
def spike_linear_forward(
    s: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """y (N, M) of spikes (N, K); a bit for each nonzero spike (N, words) int64; which rows are odd,
    that is have other numbers than zero and one, (N,) uint8."""
    inputs, outputs = s.shape[1], weight.shape[0]
    y, bits, odd = _outputs(s, weight, native.fresh)
    count, line = _lines(outputs, s) if s.shape[0] > _FEW else (0, 0)
    rows = native.fresh((count, inputs, line), s)
    tables = native.fresh((count, bits.shape[1], _WORD // 4, 16, line), s)
    native.run(
        "product_forward",
        _Arguments,
        s.dtype,
        s=s,
        w=weight,
        bias=bias,
        y=y,
        rows=rows,
        tables=tables,
        bits=bits,
        odd=odd,
        N=s.shape[0],
        K=inputs,
        M=outputs,
        threads=native.threads_for(y.numel()),
    )
    return y, bits, odd


def _outputs(s: Tensor, weight: Tensor, empty: Any) -> tuple[Tensor, Tensor, Tensor]:
    rows, inputs = s.shape
    words = -(-inputs // _WORD)
    return (
        empty((rows, weight.shape[0]), s),
        empty((rows, words), s, torch.int64),
        empty((rows,), s, torch.uint8),
    )


@spike_linear_forward.register_fake
def _(s: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    return _outputs(s, weight, native.fake)


@operator("spike_linear_backward")
def spike_linear_backward(
    s: Tensor | None,
    bits: Tensor,
    odd: Tensor,
    g: Tensor,
    inputs: int,
    need_weight: bool,
    need_bias: bool,
) -> tuple[Tensor, Tensor]:
    """Gradients of the weight (M, K) and of the bias (M,), empty where not needed. The spikes
    themselves, of which ``inputs`` are in a row, may be absent where no row is odd."""
    rows, outputs = g.shape
    # Sums of their own for each chunk of rows must stay small against the spikes.
    chunk = -(-max(512, 8 * outputs) // _WORD) * _WORD
    chunks = -(-rows // chunk)
    count, line = _lines(outputs, g)
    gw = native.fresh((chunks, count, inputs, line) if need_weight else (0,), g)
    gbias = native.fresh((chunks, count * line) if need_bias else (0,), g)
    native.run(
        "product_backward",
        _Arguments,
        g.dtype,
        s=s,
        g=g,
        gw=gw if need_weight else None,
        gbias=gbias if need_bias else None,
        bits=bits,
        odd=odd,
        N=rows,
        K=inputs,
        M=outputs,
        chunk=chunk,
        threads=native.threads_for(g.numel()),
    )
    if need_weight:
        gw = gw.sum(0).transpose(1, 2).reshape(count * line, inputs)[:outputs].contiguous()
    return gw, gbias.sum(0)[:outputs].contiguous() if need_bias else gbias


@spike_linear_backward.register_fake
def _(
    s: Tensor | None,
    bits: Tensor,
    odd: Tensor,
    g: Tensor,
    inputs: int,
    need_weight: bool,
    need_bias: bool,
) -> tuple[Tensor, Tensor]:
    outputs = g.shape[1]
    return (
        native.fake((outputs, inputs) if need_weight else (0,), g),
        native.fake((outputs,) if need_bias else (0,), g),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    s, weight, _ = inputs
    _, bits, odd = output
    ctx.set_materialize_grads(False)
    # Bits are a 32nd of the spikes, which need not be kept where they say all. Only values tell,
    # and there are none while torch traces.
    known = not torch.compiler.is_compiling() and type(odd) is Tensor
    ctx.save_for_backward(None if known and not bool(odd.any()) else s, bits, odd, weight)


def _backward(ctx: Any, g: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    if g is None:
        return None, None, None
    s, bits, odd, weight = ctx.saved_tensors
    need_s, need_weight, need_bias = ctx.needs_input_grad
    gs = g @ weight if need_s else None
    if not (need_weight or need_bias):
        return gs, None, None
    gw, gbias = spike_linear_backward(s, bits, odd, g, weight.shape[1], need_weight, need_bias)
    return gs, gw if need_weight else None, gbias if need_bias else None


spike_linear_forward.register_autograd(_backward, setup_context=_setup)
spike_linear_backward.refuse_derivative("spike_linear")
