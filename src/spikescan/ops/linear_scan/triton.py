"""The linear scan on Triton, as a torch operator; few lanes run in segments of time."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.triton import segments
from spikescan.ops._core.triton.launch import DEVICES, fresh, launch, strides
from spikescan.ops.linear_scan import contract
from spikescan.ops.linear_scan.triton_kernels import backward_kernel, forward_kernel

# Steps whose rows are asked for ahead, of numbers of 4 bytes; registers hold no more.
SPAN = 16


@operator("linear_forward_triton", DEVICES)
def linear_forward(
    a: Tensor, b: Tensor, h0: Tensor | None, lengths: Tensor | None, is_complex: bool
) -> tuple[Tensor, Tensor]:
    """As the operator of cpu.py; the states have the dtype of a and b joined."""
    out, last = contract.outputs(a, b, fresh)
    span = _span(last, is_complex)
    cut = segments.split(b, is_complex, span)
    constants = {"COMPLEX": is_complex, "PER_STEP": a.ndim == 3, "SPAN": span}
    sizes = (b.shape[1], cut.lanes, cut.number, cut.length, *_strides(a), *b.stride())
    start = _parts(h0, is_complex)
    if cut.number > 1:
        local, factor = cut.effects(last)
        launch(
            forward_kernel, cut.programs, b,
            a, b, None, None, lengths, None, *local, *factor, *sizes, **constants,
        )  # fmt: skip
        start = segments.carry(local, factor, start)
    end = cut.states(last)
    launch(
        forward_kernel, cut.programs, b,
        a, b, *start, lengths, out, *end, None, None, *sizes, **constants,
    )  # fmt: skip
    return out, _joined(end)


@operator("linear_backward_triton", DEVICES)
def linear_backward(
    a: Tensor,
    h: Tensor,
    h0: Tensor | None,
    lengths: Tensor | None,
    g: Tensor | None,
    gh: Tensor | None,
    is_complex: bool,
    need_a: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """As the operator of cpu.py."""
    ga, gb, gh0 = contract.gradients(a, h, need_a, fresh)
    span = _span(gh0, is_complex)
    cut = segments.split(h, is_complex, span)
    constants = {"COMPLEX": is_complex, "PER_STEP": a.ndim == 3, "SPAN": span}
    sizes = (h.shape[1], cut.lanes, cut.number, cut.length, *_strides(a), *strides(g))
    start, end, later = _parts(h0, is_complex), _parts(gh, is_complex), segments.REST
    if cut.number > 1:
        local, factor = cut.effects(gh0)
        launch(
            backward_kernel, cut.programs, h,
            a, h, *start, lengths, g, *end, None, None, None, None, *local, *factor,
            *sizes, **constants,
        )  # fmt: skip
        later = segments.carry(local, factor, segments.REST, reverse=True)
    out = cut.states(gh0)
    sums = need_a and a.ndim == 1
    each = fresh((h.shape[0], cut.number, h.shape[2]), h, torch.float64) if sums else ga
    launch(
        backward_kernel, cut.programs, h,
        a, h, *start, lengths, g, *end, *later, each if need_a else None, gb, *out, None, None,
        *sizes, **constants,
    )  # fmt: skip
    return each.sum(1) if sums else ga, gb, _joined(out)


def _span(state: Tensor, is_complex: bool) -> int:
    return SPAN * 4 // (state.element_size() * (1 + is_complex))


def _strides(a: Tensor) -> tuple[int, ...]:
    """Those of the multiplier over (B, T, D), zero where it is constant."""
    return a.stride() if a.ndim == 3 else (0, 0, a.stride(0))


def _parts(x: Tensor | None, is_complex: bool) -> segments.Start:
    """Real and imaginary part of a state (B, lanes), each contiguous."""
    if x is None:
        return segments.REST
    if not is_complex:
        return x.contiguous(), None
    real, imag = x.unflatten(-1, (-1, 2)).unbind(-1)
    return real.contiguous(), imag.contiguous()


def _joined(parts: segments.Parts) -> Tensor:
    real, imag = parts
    return real if imag is None else torch.stack((real, imag), -1).flatten(-2)


contract.connect(linear_forward, linear_backward)
