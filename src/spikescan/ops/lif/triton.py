"""LIF on Triton, as a torch operator."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.triton.launch import DEVICES, blocks, dense, fresh, launch, strides
from spikescan.ops.lif import contract
from spikescan.ops.lif.triton_kernels import backward_kernel, forward_kernel

# The membrane is kept every SPAN steps and recomputed from the input in the backward pass. Saving
# it at each step would let backward read it in place of the input, but have forward write it: 24
# bytes an element in float32 where this moves 20.5, and 4 bytes an element kept where this keeps
# 1/4. On an H200 (4.8 TB/s) what moves decides from some 8,000 lanes on: a step of so many takes
# 34 ns of memory, and its chain of dependent operations, recomputation included, some 25 ns. Fewer
# lanes wait for that chain, of which saving would spare a third. A longer span would keep less,
# but backward holds four numbers a step in registers, and at 32 steps they overflow.
SPAN = 16


@operator("lif_forward_triton", DEVICES)
def lif_forward(
    x: Tensor,
    beta: Tensor,
    v0: Tensor | None,
    lengths: Tensor | None,
    threshold: float,
    v_reset: float,
    reset: int,
    detach: bool,
    surrogate: int,
    alpha: float,
    membrane: bool,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As the operator of cpu.py; the spikes have the dtype of x."""
    s, u, v, saved = contract.outputs(x, beta, membrane, save, SPAN, fresh)
    launch(
        forward_kernel, x.shape[0] * blocks(x.shape[2]), x,
        x, beta.contiguous(), dense(v0), lengths,
        s, u if membrane else None, v, saved if save else None,
        threshold, v_reset, *x.shape[1:], *x.stride(), RESET=reset, SPAN=SPAN,
    )  # fmt: skip
    return s, u, v, saved


@operator("lif_backward_triton", DEVICES)
def lif_backward(
    x: Tensor,
    beta: Tensor,
    checkpoints: Tensor,
    lengths: Tensor | None,
    gs: Tensor | None,
    gu: Tensor | None,
    gv: Tensor | None,
    threshold: float,
    v_reset: float,
    reset: int,
    detach: bool,
    surrogate: int,
    alpha: float,
    need_beta: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """As the operator of cpu.py; the gradient of x has its dtype."""
    gx, gbeta, gv0 = contract.gradients(x, beta, need_beta, fresh)
    launch(
        backward_kernel, x.shape[0] * blocks(x.shape[2]), x,
        x, beta.contiguous(), checkpoints, lengths, gs, gu, dense(gv),
        gx, gbeta if need_beta else None, gv0,
        threshold, v_reset, alpha, *x.shape[1:], *strides(x), *strides(gs), *strides(gu),
        RESET=reset, DETACH=detach, SURROGATE=surrogate, SPAN=SPAN,
    )  # fmt: skip
    return gx, gbeta, gv0


contract.connect(lif_forward, lif_backward, SPAN)
