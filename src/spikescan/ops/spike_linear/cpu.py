"""The product of spikes on the compiled CPU kernel, as a torch operator with its gradient."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikescan.ops.native import call as native
from spikescan.ops.operator import operator

_TILE = 64
"""Rows that the kernel takes at once; the C source's TILE."""
_WIDE_BYTES = 256
"""Width of a panel; the C source's WIDE."""


def _panels(outputs: int, like: Tensor) -> tuple[int, int]:
    """Number and width of the panels that hold a matrix with so many rows."""
    wide = _WIDE_BYTES // like.element_size()
    return -(-outputs // wide), wide


class _Arguments(native.KernelArguments):
    """The C struct ``product_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("s", "w", "bias", "g", "y", "panels", "gw", "gbias"),
        *native.integers("N", "K", "M", "chunk", "threads"),
    ]


@operator("spike_linear_forward")
def spike_linear_forward(s: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """y (N, M) of spikes (N, K)."""
    s, weight = s.contiguous(), weight.contiguous()
    bias = None if bias is None else bias.contiguous()
    (rows, inputs), outputs = s.shape, weight.shape[0]
    y = native.fresh((rows, outputs), s)
    count, wide = _panels(outputs, s)
    panels = native.fresh((count, inputs, wide), s)
    native.call(
        "product_forward",
        s.dtype,
        _Arguments(
            s=s.data_ptr(),
            w=weight.data_ptr(),
            panels=panels.data_ptr(),
            bias=native.address(bias),
            y=y.data_ptr(),
            N=rows,
            K=inputs,
            M=outputs,
            threads=native.threads_for(rows * outputs),
        ),
    )
    return y


@spike_linear_forward.register_fake
def _(s: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return native.fake((s.shape[0], weight.shape[0]), s)


@operator("spike_linear_backward")
def spike_linear_backward(
    s: Tensor, g: Tensor, need_weight: bool, need_bias: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of the weight (M, K) and of the bias (M,), empty where not needed."""
    s, g = s.contiguous(), g.contiguous()
    (rows, inputs), outputs = s.shape, g.shape[1]
    # Sums of their own for each chunk of rows must stay small against the spikes.
    chunk = -(-max(2048, 20 * outputs) // _TILE) * _TILE
    chunks = -(-rows // chunk)
    count, wide = _panels(outputs, s)
    gw = native.fresh((chunks, count, inputs, wide) if need_weight else (0,), s)
    gbias = native.fresh((chunks, count * wide) if need_bias else (0,), s)
    native.call(
        "product_backward",
        s.dtype,
        _Arguments(
            s=s.data_ptr(),
            g=g.data_ptr(),
            gw=gw.data_ptr() if need_weight else None,
            gbias=gbias.data_ptr() if need_bias else None,
            N=rows,
            K=inputs,
            M=outputs,
            chunk=chunk,
            threads=native.threads_for(rows * outputs),
        ),
    )
    if need_weight:
        gw = gw.sum(0).transpose(1, 2).reshape(count * wide, inputs)[:outputs].contiguous()
    return gw, gbias.sum(0)[:outputs].contiguous() if need_bias else gbias


@spike_linear_backward.register_fake
def _(s: Tensor, g: Tensor, need_weight: bool, need_bias: bool) -> tuple[Tensor, Tensor]:
    outputs, inputs = g.shape[1], s.shape[1]
    return (
        native.fake((outputs, inputs) if need_weight else (0,), s),
        native.fake((outputs,) if need_bias else (0,), s),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    s, weight, _ = inputs
    ctx.save_for_backward(s, weight)


def _backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    s, weight = ctx.saved_tensors
    need_s, need_weight, need_bias = ctx.needs_input_grad
    gs = g @ weight if need_s else None
    if not (need_weight or need_bias):
        return gs, None, None
    gw, gbias = spike_linear_backward(s, g, need_weight, need_bias)
    return gs, gw if need_weight else None, gbias if need_bias else None


spike_linear_forward.register_autograd(_backward, setup_context=_setup)
spike_linear_backward.refuse_derivative("spike_linear")
