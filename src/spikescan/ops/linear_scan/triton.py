"""The linear scan on Triton, as torch operators; few lanes run in segments of time."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu.call import fake
from spikescan.ops._core.pair import pair
from spikescan.ops._core.triton import segments
from spikescan.ops._core.triton.launch import DEVICES, fresh, launch, strides
from spikescan.ops.linear_scan import contract
from spikescan.ops.linear_scan.triton_kernels import backward_kernel, forward_kernel

# Steps whose rows are asked for ahead, of numbers of 4 bytes; registers hold no more.
SPAN = 16


def _forward(given: contract.Forward) -> tuple[Tensor, Tensor]:
    a, b, h0, lengths, is_complex = given
    out, last = contract.outputs(given, fresh)
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


def _backward(given: contract.Backward) -> tuple[Tensor, Tensor, Tensor]:
    a, h, h0, lengths, g, gh, is_complex, need_a = given
    ga, gb, gh0 = contract.gradient_outputs(given, fresh)
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


forward, backward = pair(
    "linear_scan_{}_triton", contract, forward=_forward, backward=_backward, results=(2, 3),
    fake=lambda given: contract.outputs(given, fake), empty=fake, devices=DEVICES,
)  # fmt: skip
