"""Resonate-and-fire on Triton, as torch operators; few lanes run in segments of time."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.pair import pair
from spikescan.ops._core.triton import segments
from spikescan.ops._core.triton.launch import DEVICES, dense, fresh, launch, strides
from spikescan.ops._core.validate import accumulator
from spikescan.ops.resonate import contract
from spikescan.ops.resonate.coefficients import rounded, table, table_gradient
from spikescan.ops.resonate.triton_kernels import backward_kernel, forward_kernel

# Steps between two checkpoints of the state, as in the LIF: longer spans overflow the registers.
SPAN = 16


def _forward(given: contract.Forward) -> tuple[Tensor, ...]:
    x, thresholds = given.x, dense(given.thresholds)
    s, m, u, r, saved, _ = contract.outputs(given, SPAN, fresh)
    rows = rounded(table(given.parameters), accumulator(x.dtype))
    p, q, gain = rows.unbind(0)
    start = dense(given.u0), dense(given.r0)
    cut = segments.split(x, False, SPAN)._replace(is_complex=True)
    sizes = (given.threshold, *x.shape[1:], cut.number, cut.length, *x.stride())
    if cut.number > 1:
        local, factor = cut.effects(p)
        launch(
            forward_kernel, cut.programs, x,
            x, p, q, gain, thresholds, None, None, given.lengths, None, None, *local, None, None,
            *factor, *sizes, SPAN=SPAN,
        )  # fmt: skip
        start = segments.carry(local, factor, start)
    launch(
        forward_kernel, cut.programs, x,
        x, p, q, gain, thresholds, *start, given.lengths,
        s, m if given.want_membrane else None, u, r,
        *(saved.chunk(2) if given.save else (None, None)), None, None, *sizes, SPAN=SPAN,
    )  # fmt: skip
    return s, m, u, r, saved, rows


def _backward(given: contract.Backward) -> tuple[Tensor, ...]:
    x, gs, gm = given.x, given.gs, given.gmembrane
    gx, own, gthresholds, gu0, gr0 = contract.gradient_outputs(given, fresh)
    p, q, gain = given.rows.unbind(0)
    ends = dense(given.gu), dense(given.gr)
    thresholds = dense(given.thresholds)
    cut = segments.split(x, False, SPAN)._replace(is_complex=True)
    sizes = (
        given.threshold, given.surrogate_parameter, *x.shape[1:], cut.number, cut.length,
        *strides(x), *strides(gs), *strides(gm),
    )  # fmt: skip
    saved = given.checkpoints.chunk(2)
    later = segments.REST
    if cut.number > 1:
        local, factor = cut.effects(p)
        launch(
            backward_kernel, cut.programs, x,
            x, p, q, gain, thresholds, *saved, given.lengths, gs, gm, *ends, None, None,
            None, None, None, *local, *factor, *sizes, SURROGATE=given.surrogate, SPAN=SPAN,
        )  # fmt: skip
        later = segments.carry(local, factor, segments.REST, reverse=True)
    # Of p, q and gain, and of the threshold, for each row of the batch and each segment.
    each = fresh((x.shape[0], cut.number, *own.shape), x, torch.float64)
    lift = fresh((x.shape[0], cut.number, *gthresholds.shape[1:]), x, torch.float64)
    launch(
        backward_kernel, cut.programs, x,
        x, p, q, gain, thresholds, *saved, given.lengths, gs, gm, *ends, *later,
        gx, each if given.want_gparameters else None, lift if given.want_gthresholds else None,
        gu0, gr0, None, None,
        *sizes, SURROGATE=given.surrogate, SPAN=SPAN,
    )  # fmt: skip
    if given.want_gparameters:
        own = table_gradient(given.parameters, given.rows, each.sum((0, 1)))
    if given.want_gthresholds:
        gthresholds = lift.sum(1)
    return gx, own, gthresholds, gu0, gr0


forward, backward = pair(
    "resonate_{}_triton", contract, forward=_forward, backward=_backward, results=(6, 5),
    fake=lambda given: contract.outputs(given, SPAN, fresh), empty=fresh, devices=DEVICES,
)  # fmt: skip
