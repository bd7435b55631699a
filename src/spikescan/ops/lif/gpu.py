"""LIF on Triton, as a torch operator: a program carries some channels of a row through time."""

# Triton reads annotations as types of arguments, and its language has no types for a checker.
# pyright: basic, reportMissingImports=false

import triton
import triton.language as tl
from torch import Tensor

from spikescan.ops.gpu import tile
from spikescan.ops.gpu.launch import DEVICES, blocks, dense, fresh, launch, strides
from spikescan.ops.lif import autograd
from spikescan.ops.operator import operator

# The membrane is kept every SPAN steps and recomputed from the input in the backward pass. Saving
# it at each step would let backward read it in place of the input, but have forward write it: 24
# bytes an element in float32 where this moves 20.5, and 4 bytes an element kept where this keeps
# 1/4. On an H200 (4.8 TB/s) what moves decides from some 8,000 lanes on: a step of so many takes
# 34 ns of memory, and its chain of dependent operations, recomputation included, some 25 ns. Fewer
# lanes wait for that chain, of which saving would spare a third. A longer span would keep less,
# but backward holds four numbers a step in registers, and at 32 steps they overflow.
SPAN = 16

_NONE, _SOFT, _HARD = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
_SIZES = ["T", "D", *(f"{name}_{axis}" for name in ("x", "gs", "gu") for axis in "btd")]


@triton.jit
def _reset(u, fire, threshold, v_reset, RESET: tl.constexpr):
    if RESET == _SOFT:
        return u - tl.where(fire, threshold, 0.0)
    elif RESET == _HARD:
        return tl.where(fire, v_reset, u)
    else:
        tl.static_assert(RESET == _NONE)
        return u


# fmt: off
@triton.jit(do_not_specialize=_SIZES[:5])
def _forward(
    x, beta, v0, lengths, s, u, v, saved, threshold: tl.float64, v_reset: tl.float64,
    T: tl.int64, D: tl.int64, x_b: tl.int64, x_t: tl.int64, x_d: tl.int64,
    RESET: tl.constexpr, SPAN: tl.constexpr, LANES: tl.constexpr,
):
    # fmt: on
    row, _, lane, on, start, _ = tile.place(T, D, 1, T, LANES)
    begin, stop = tile.limit(start, on), tile.limit(T, on)
    end = tile.limit(tile.length_of(lengths, row, T), on)
    beta = tl.load(beta + lane, mask=on, other=0.0)
    threshold, v_reset = tile.number(threshold, beta), tile.number(v_reset, beta)
    h = tile.load(tile.lanes(v0, row * D + lane), on, beta)
    x += row * x_b + lane * x_d
    out = row * T * D + lane
    soon = tile.rows(x, x_t, start, begin, end, SPAN)
    later = tile.rows(x, x_t, start + SPAN, begin, end, SPAN)
    for first in range(0, T, SPAN):
        # Two spans ahead: one takes less time here than a read from memory.
        now, soon = soon, later
        later = tile.rows(x, x_t, first + 2 * SPAN, begin, end, SPAN)
        if saved is not None:
            tl.store(saved + (row * tl.cdiv(T, SPAN) + first // SPAN) * D + lane, h, mask=on)
        for k in tl.static_range(SPAN):
            t = first + k
            live = t < end
            m = beta * h + now[k].to(beta.dtype)
            fire = m >= threshold
            h = tl.where(live, _reset(m, fire, threshold, v_reset, RESET), h)
            tl.store(s + out + t * D, (fire & live).to(s.dtype.element_ty), mask=t < stop)
            if u is not None:
                tl.store(u + out + t * D, tl.where(live, m, 0.0), mask=t < stop)
    tl.store(v + row * D + lane, h, mask=on)


# fmt: off
@triton.jit(do_not_specialize=_SIZES)
def _backward(
    x, beta, saved, lengths, gs, gu, gv, gx, gbeta, gv0,
    threshold: tl.float64, v_reset: tl.float64, alpha: tl.float64, T: tl.int64, D: tl.int64,
    x_b: tl.int64, x_t: tl.int64, x_d: tl.int64, gs_b: tl.int64, gs_t: tl.int64, gs_d: tl.int64,
    gu_b: tl.int64, gu_t: tl.int64, gu_d: tl.int64,
    RESET: tl.constexpr, DETACH: tl.constexpr, SURROGATE: tl.constexpr,
    SPAN: tl.constexpr, LANES: tl.constexpr,
):
    # fmt: on
    row, _, lane, on, start, _ = tile.place(T, D, 1, T, LANES)
    begin, stop = tile.limit(start, on), tile.limit(T, on)
    end = tile.limit(tile.length_of(lengths, row, T), on)
    beta = tl.load(beta + lane, mask=on, other=0.0)
    kind = beta.dtype
    threshold, v_reset = tile.number(threshold, beta), tile.number(v_reset, beta)
    alpha = tile.number(alpha, beta)
    through_reset: tl.constexpr = RESET != _NONE and not DETACH
    e = tile.load(tile.lanes(gv, row * D + lane), on, beta)
    x += row * x_b + lane * x_d
    gs, gu = tile.lanes(gs, row * gs_b + lane * gs_d), tile.lanes(gu, row * gu_b + lane * gu_d)
    out = row * T * D + lane
    spans = tl.cdiv(T, SPAN)
    first = (spans - 1) * SPAN
    ahead = tile.rows(x, x_t, first, begin, end, SPAN)
    gs_ahead = tile.rows(gs, gs_t, first, begin, end, SPAN)
    gu_ahead = tile.rows(gu, gu_t, first, begin, end, SPAN)
    total = tl.zeros([LANES], tl.float64)
    for back in range(0, spans):
        first = (spans - 1 - back) * SPAN
        now, gs_now, gu_now = ahead, gs_ahead, gu_ahead
        ahead = tile.rows(x, x_t, first - SPAN, begin, end, SPAN)
        gs_ahead = tile.rows(gs, gs_t, first - SPAN, begin, end, SPAN)
        gu_ahead = tile.rows(gu, gu_t, first - SPAN, begin, end, SPAN)
        h = tl.load(saved + (row * spans + first // SPAN) * D + lane, mask=on, other=0.0)
        before, u = (h,), ()
        for k in tl.static_range(SPAN):
            m = beta * before[k] + now[k].to(kind)
            u = u + (m,)
            before = before + (_reset(m, m >= threshold, threshold, v_reset, RESET),)
        part = tl.zeros_like(beta)
        for k in tl.static_range(SPAN - 1, -1, -1):
            t = first + k
            if gs is not None or through_reset:
                slope = tile.derivative(u[k] - threshold, alpha, SURROGATE)
            delta = e  # times dv_t/du_t
            if RESET == _SOFT and not DETACH:
                delta = e * (1 - threshold * slope)
            elif RESET == _HARD:
                keeps = tl.where(u[k] >= threshold, 0.0, 1.0).to(kind)
                if not DETACH:
                    keeps = keeps + (v_reset - u[k]) * slope
                delta = e * keeps
            if gs is not None:
                delta += gs_now[k].to(kind) * slope
            if gu is not None:
                delta += gu_now[k].to(kind)
            delta = tl.where(t < end, delta, 0.0)
            tl.store(gx + out + t * D, delta.to(gx.dtype.element_ty), mask=t < stop)
            part += delta * tl.where(t < end, before[k], 0.0)
            e = tl.where(t < end, beta * delta, e)
        total += part.to(tl.float64)
    if gbeta is not None:
        tl.store(gbeta + row * D + lane, total, mask=on)
    tl.store(gv0 + row * D + lane, e, mask=on)


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
    s, u, v, saved = autograd.outputs(x, beta, membrane, save, SPAN, fresh)
    launch(
        _forward, x.shape[0] * blocks(x.shape[2]), x,
        x, *dense(beta, v0), lengths, s, u if membrane else None, v, saved if save else None,
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
    gx, gbeta, gv0 = autograd.gradients(x, beta, need_beta, fresh)
    beta, gv = dense(beta, gv)
    launch(
        _backward, x.shape[0] * blocks(x.shape[2]), x,
        x, beta, checkpoints, lengths, gs, gu, gv, gx, gbeta if need_beta else None, gv0,
        threshold, v_reset, alpha, *x.shape[1:], *strides(x), *strides(gs), *strides(gu),
        RESET=reset, DETACH=detach, SURROGATE=surrogate, SPAN=SPAN,
    )  # fmt: skip
    return gx, gbeta, gv0


autograd.connect(lif_forward, lif_backward, SPAN)
