"""The Triton kernels of LIF: a program carries 32 channels of a row through time."""

import triton
import triton.language as tl

from spikescan.ops._core.triton import tile

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


@triton.jit
def _level(levels, row, number, lane, D, on, like):
    """Threshold (row 0) or v_reset (row 1) of every channel, its own or the one number of all."""
    if levels is None:
        return tile.number(number, like)
    else:
        return tile.load(levels, row * D + lane, on, like)


# fmt: off
@triton.jit(do_not_specialize=_SIZES[:5])
def forward_kernel(
    x, beta, levels, v0, lengths, s, u, v, saved, threshold: tl.float64, v_reset: tl.float64,
    T: tl.int64, D: tl.int64, x_b: tl.int64, x_t: tl.int64, x_d: tl.int64,
    RESET: tl.constexpr, SPAN: tl.constexpr, LANES: tl.constexpr,
):
    # fmt: on
    row, _, lane, on, start, _ = tile.place(T, D, 1, T, LANES)
    begin, stop = tile.limit(start, on), tile.limit(T, on)
    end = tile.limit(tile.length_of(lengths, row, T), on)
    beta = tl.load(beta + lane, mask=on, other=0.0)
    threshold = _level(levels, 0, threshold, lane, D, on, beta)
    v_reset = _level(levels, 1, v_reset, lane, D, on, beta)
    h = tile.load(v0, row * D + lane, on, beta)
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
            spikes = tl.where(fire & live, 1.0, 0.0).to(s.dtype.element_ty)
            tl.store(s + out + t * D, spikes, mask=t < stop)
            if u is not None:
                tl.store(u + out + t * D, tl.where(live, m, 0.0), mask=t < stop)
    tl.store(v + row * D + lane, h, mask=on)


# fmt: off
@triton.jit(do_not_specialize=_SIZES)
def backward_kernel(
    x, beta, levels, saved, lengths, gs, gu, gv, gx, gbeta, glevels, gv0,
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
    threshold = _level(levels, 0, threshold, lane, D, on, beta)
    v_reset = _level(levels, 1, v_reset, lane, D, on, beta)
    alpha = tile.number(alpha, beta)
    through_reset: tl.constexpr = RESET != _NONE and not DETACH
    e = tile.load(gv, row * D + lane, on, beta)
    x += row * x_b + lane * x_d
    if gs is not None:
        gs += row * gs_b + lane * gs_d
    if gu is not None:
        gu += row * gu_b + lane * gu_d
    out = row * T * D + lane
    spans = tl.cdiv(T, SPAN)
    first = (spans - 1) * SPAN
    ahead = tile.rows(x, x_t, first, begin, end, SPAN)
    gs_ahead = tile.rows(gs, gs_t, first, begin, end, SPAN)
    gu_ahead = tile.rows(gu, gu_t, first, begin, end, SPAN)
    total = tl.zeros([LANES], tl.float64)
    total_v, total_reset = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    for back in range(spans):
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
        part, part_v, part_reset = tl.zeros_like(beta), tl.zeros_like(beta), tl.zeros_like(beta)
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
            if glevels is not None:
                lift = tl.zeros_like(beta)
                if gs is not None:
                    lift += gs_now[k].to(kind) * slope
                if through_reset:
                    turn = -threshold if RESET == _SOFT else v_reset - u[k]
                    lift += turn * slope * e
                fired = tl.where(u[k] >= threshold, e, 0.0)
                if RESET == _SOFT:
                    lift += fired
                elif RESET == _HARD:
                    part_reset += tl.where(t < end, fired, 0.0)
                part_v -= tl.where(t < end, lift, 0.0)
            delta = tl.where(t < end, delta, 0.0)
            tl.store(gx + out + t * D, delta.to(gx.dtype.element_ty), mask=t < stop)
            part += delta * tl.where(t < end, before[k], 0.0)
            e = tl.where(t < end, beta * delta, e)
        total += part.to(tl.float64)
        total_v += part_v.to(tl.float64)
        total_reset += part_reset.to(tl.float64)
    if gbeta is not None:
        tl.store(gbeta + row * D + lane, total, mask=on)
    if glevels is not None:
        tl.store(glevels + row * 2 * D + lane, total_v, mask=on)
        tl.store(glevels + row * 2 * D + D + lane, total_reset, mask=on)
    tl.store(gv0 + row * D + lane, e, mask=on)
