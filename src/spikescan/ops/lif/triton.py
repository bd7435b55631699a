"""LIF on Triton, as torch operators."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.pair import pair
from spikescan.ops._core.triton.launch import DEVICES, blocks, dense, fresh, launch, strides
from spikescan.ops._core.validate import accumulator
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


def _beta(given: contract.Forward | contract.Backward) -> Tensor | None:
    if given.leak is None:
        return dense(given.beta)
    return contract.decay(accumulator(given.x.dtype), given.leak).contiguous()


def _forward(given: contract.Forward) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x = given.x
    s, u, v, saved = contract.outputs(given, SPAN, fresh)
    launch(
        forward_kernel, x.shape[0] * blocks(x.shape[2]), x,
        x, _beta(given), dense(given.thresholds), dense(given.v0), given.lengths,
        s, u if given.want_membrane else None, v, saved if given.save else None,
        given.threshold, given.v_reset, *x.shape[1:], *x.stride(), RESET=given.reset, SPAN=SPAN,
    )  # fmt: skip
    return s, u, v, saved


def _backward(given: contract.Backward) -> tuple[Tensor | None, ...]:
    x, gs, gm = given.x, given.gs, given.gmembrane
    gx, gbeta, gthresholds, gv0 = contract.gradient_outputs(given, fresh)
    launch(
        backward_kernel, x.shape[0] * blocks(x.shape[2]), x,
        x, _beta(given), dense(given.thresholds), given.checkpoints, given.lengths,
        gs, gm, dense(given.gv),
        gx, gbeta, gthresholds, gv0,
        given.threshold, given.v_reset, given.surrogate_parameter,
        *x.shape[1:], *strides(x), *strides(gs), *strides(gm),
        RESET=given.reset, DETACH=given.detach, SURROGATE=given.surrogate, SPAN=SPAN,
    )  # fmt: skip
    return gx, gbeta, gthresholds, gv0


forward, backward = pair(
    "lif_{}_triton", contract, forward=_forward, backward=_backward, results=(4, 4),
    fake=lambda given: contract.outputs(given, SPAN, fresh), empty=fresh, devices=DEVICES,
)  # fmt: skip
