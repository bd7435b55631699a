"""LIF on Triton, as torch operators."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.registration import Operator
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


def _forward(given: contract.Forward) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x = given.x
    s, u, v, saved = contract.outputs(given, SPAN, fresh)
    launch(
        forward_kernel, x.shape[0] * blocks(x.shape[2]), x,
        x, given.beta.contiguous(), dense(given.levels), dense(given.v0), given.lengths,
        s, u if given.membrane else None, v, saved if given.save else None,
        given.threshold, given.v_reset, *x.shape[1:], *x.stride(), RESET=given.reset, SPAN=SPAN,
    )  # fmt: skip
    return s, u, v, saved


def _backward(given: contract.Backward) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, gs, gu = given.x, given.gs, given.gu
    gx, gbeta, glevels, gv0 = contract.gradient_outputs(given, fresh)
    launch(
        backward_kernel, x.shape[0] * blocks(x.shape[2]), x,
        x, given.beta.contiguous(), dense(given.levels), given.checkpoints, given.lengths,
        gs, gu, dense(given.gv),
        gx, gbeta if given.learn else None, glevels if given.lift else None, gv0,
        given.threshold, given.v_reset, given.alpha,
        *x.shape[1:], *strides(x), *strides(gs), *strides(gu),
        RESET=given.reset, DETACH=given.detach, SURROGATE=given.surrogate, SPAN=SPAN,
    )  # fmt: skip
    return gx, gbeta, glevels, gv0


backward = Operator(
    "lif_backward_triton",
    contract.Backward,
    results=4,
    kernel=_backward,
    fake=lambda given: contract.gradient_outputs(given, fresh),
    devices=DEVICES,
)
forward = Operator(
    "lif_forward_triton",
    contract.Forward,
    results=4,
    kernel=_forward,
    fake=lambda given: contract.outputs(given, SPAN, fresh),
    devices=DEVICES,
    gradient=contract.gradient,
    backward=backward,
)
