"""Resonate-and-fire on Triton, as a torch operator; few lanes run in segments of time."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.triton import segments
from spikescan.ops._core.triton.launch import DEVICES, dense, fresh, launch, strides
from spikescan.ops._core.validate import accumulator
from spikescan.ops.resonate import contract
from spikescan.ops.resonate.coefficients import table, table_gradient
from spikescan.ops.resonate.triton_kernels import backward_kernel, forward_kernel

# Steps between two checkpoints of the state, as in the LIF: longer spans overflow the registers.
SPAN = 16


@operator("resonate_forward_triton", DEVICES)
def resonate_forward(
    x: Tensor,
    parameters: Tensor,
    u0: Tensor | None,
    r0: Tensor | None,
    lengths: Tensor | None,
    threshold: float,
    surrogate: int,
    alpha: float,
    membrane: bool,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """As the operator of cpu.py; the spikes have the dtype of x."""
    rows = table(parameters, accumulator(x.dtype))
    p, q, gain = rows.unbind(0)
    s, m, u, r, saved = contract.outputs(x, membrane, save, SPAN, fresh)
    start = dense(u0), dense(r0)
    cut = segments.split(x, False, SPAN)._replace(is_complex=True)
    sizes = (threshold, *x.shape[1:], cut.number, cut.length, *x.stride())
    if cut.number > 1:
        local, factor = cut.effects(p)
        launch(
            forward_kernel, cut.programs, x,
            x, p, q, gain, None, None, lengths, None, None, *local, None, None, *factor, *sizes,
            SPAN=SPAN,
        )  # fmt: skip
        start = segments.carry(local, factor, start)
    launch(
        forward_kernel, cut.programs, x,
        x, p, q, gain, *start, lengths, s, m if membrane else None, u, r,
        *(saved.chunk(2) if save else (None, None)), None, None, *sizes, SPAN=SPAN,
    )  # fmt: skip
    return s, m, u, r, saved, rows


@operator("resonate_backward_triton", DEVICES)
def resonate_backward(
    x: Tensor,
    parameters: Tensor,
    rows: Tensor,
    checkpoints: Tensor,
    lengths: Tensor | None,
    gs: Tensor | None,
    gm: Tensor | None,
    gu: Tensor | None,
    gr: Tensor | None,
    threshold: float,
    surrogate: int,
    alpha: float,
    need_parameters: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As the operator of cpu.py; the gradient of x has its dtype."""
    gx, own, gu0, gr0 = contract.gradients(x, need_parameters, fresh)
    p, q, gain = rows.unbind(0)
    gu, gr = dense(gu), dense(gr)
    cut = segments.split(x, False, SPAN)._replace(is_complex=True)
    sizes = (
        threshold, alpha, *x.shape[1:], cut.number, cut.length,
        *strides(x), *strides(gs), *strides(gm),
    )  # fmt: skip
    saved = checkpoints.chunk(2)
    later = segments.REST
    if cut.number > 1:
        local, factor = cut.effects(p)
        launch(
            backward_kernel, cut.programs, x,
            x, p, q, gain, *saved, lengths, gs, gm, gu, gr, None, None, None, None, *local, *factor,
            *sizes, SURROGATE=surrogate, SPAN=SPAN,
        )  # fmt: skip
        later = segments.carry(local, factor, segments.REST, reverse=True)
    # Of p, q and gain, for each row of the batch and each segment.
    each = fresh((x.shape[0], cut.number, *own.shape), x, torch.float64)
    launch(
        backward_kernel, cut.programs, x,
        x, p, q, gain, *saved, lengths, gs, gm, gu, gr, *later, gx,
        each if need_parameters else None, gu0, gr0, None, None,
        *sizes, SURROGATE=surrogate, SPAN=SPAN,
    )  # fmt: skip
    if need_parameters:
        own = table_gradient(parameters, rows, each.sum((0, 1)))
    return gx, own, gu0, gr0


contract.connect(resonate_forward, resonate_backward, SPAN)
