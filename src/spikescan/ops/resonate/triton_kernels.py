"""The Triton kernels of the oscillator."""

import triton
import triton.language as tl

from spikescan.ops._core.triton import tile

_SIZES = [
    "T",
    "D",
    "segments",
    "segment",
    *(f"{x}_{axis}" for x in ("x", "gs", "gm") for axis in "btd"),
]


@triton.jit
def _turn(u, r, p, q, drive):
    """One step of the oscillator, in the reference's order of operations."""
    return (p * u - q * r) + drive, q * u + p * r


@triton.jit
def _own(thresholds, threshold, lane, on, like):
    """The threshold of every channel, its own or the one number of all."""
    if thresholds is None:
        return tile.number(threshold, like)
    else:
        return tile.load(thresholds, lane, on, like)


# fmt: off
@triton.jit(do_not_specialize=_SIZES[:7])
def forward_kernel(
    x, p, q, gain, thresholds, u0, r0, lengths, s, membrane, last_u, last_r, saved_u, saved_r,
    factor, factor_i,
    threshold: tl.float64, T: tl.int64, D: tl.int64, segments: tl.int64, segment: tl.int64,
    x_b: tl.int64, x_t: tl.int64, x_d: tl.int64, SPAN: tl.constexpr, LANES: tl.constexpr,
):
    # fmt: on
    """Without ``s`` this is the first pass over segments: it leaves in ``last_u``, ``last_r`` and
    ``factor`` what each does."""
    row, part, lane, on, start, stop = tile.place(T, D, segments, segment, LANES)
    length = tile.length_of(lengths, row, T)
    begin, ends = tile.limit(start, on), tile.limit(stop, on)
    end = tile.limit(tl.minimum(length, stop), on)
    p = tl.load(p + lane, mask=on, other=0.0)
    q, gain = tile.load(q, lane, on, p), tile.load(gain, lane, on, p)
    threshold = _own(thresholds, threshold, lane, on, p)
    state = (row * segments + part) * D + lane
    u, r = tile.load(u0, state, on, p), tile.load(r0, state, on, p)
    f, f_i = tl.zeros_like(p) + 1, tl.zeros_like(p)
    x += row * x_b + lane * x_d
    out = row * T * D + lane
    soon = tile.rows(x, x_t, start, begin, end, SPAN)
    later = tile.rows(x, x_t, start + SPAN, begin, end, SPAN)
    for first in range(start, stop, SPAN):
        now, soon = soon, later
        later = tile.rows(x, x_t, first + 2 * SPAN, begin, end, SPAN)
        if saved_u is not None:
            keep = (row * tl.cdiv(T, SPAN) + first // SPAN) * D + lane
            tl.store(saved_u + keep, u, mask=on)
            tl.store(saved_r + keep, r, mask=on)
        for k in tl.static_range(SPAN):
            t = first + k
            live = t < end
            next_u, next_r = _turn(u, r, p, q, gain * now[k].to(p.dtype))
            u, r = tl.where(live, next_u, u), tl.where(live, next_r, r)
            if s is not None:
                spikes = tl.where(live & (u >= threshold), 1.0, 0.0).to(s.dtype.element_ty)
                tl.store(s + out + t * D, spikes, mask=t < ends)
            if membrane is not None:
                tl.store(membrane + out + t * D, tl.where(live, u, 0.0), mask=t < ends)
            if factor is not None:
                f, f_i = _turn(f, f_i, p, q, 0.0)
    if factor is not None:
        tl.store(factor + state, f, mask=on)
        tl.store(factor_i + state, f_i, mask=on)
        tl.store(last_u + state, u, mask=on)
        tl.store(last_r + state, r, mask=on)
    else:
        holds = tile.holds_end(length, start, stop, on)
        tl.store(last_u + row * D + lane, u, mask=holds)
        tl.store(last_r + row * D + lane, r, mask=holds)


# fmt: off
@triton.jit(do_not_specialize=_SIZES)
def backward_kernel(
    x, p, q, gain, thresholds, saved_u, saved_r, lengths, gs, gm, gu, gr, later_u, later_r,
    gx, gpqg, gthresholds, gu0, gr0, factor, factor_i, threshold: tl.float64, alpha: tl.float64,
    T: tl.int64, D: tl.int64, segments: tl.int64, segment: tl.int64,
    x_b: tl.int64, x_t: tl.int64, x_d: tl.int64, gs_b: tl.int64, gs_t: tl.int64, gs_d: tl.int64,
    gm_b: tl.int64, gm_t: tl.int64, gm_d: tl.int64,
    SURROGATE: tl.constexpr, SPAN: tl.constexpr, LANES: tl.constexpr,
):
    # fmt: on
    """``later_u`` and ``later_r`` hold what comes back from the segment behind. Without ``gx`` this
    is the first pass over segments: it leaves in ``gu0``, ``gr0`` and ``factor`` what each does."""
    row, part, lane, on, start, stop = tile.place(T, D, segments, segment, LANES)
    length = tile.length_of(lengths, row, T)
    begin, ends = tile.limit(start, on), tile.limit(stop, on)
    end = tile.limit(tl.minimum(length, stop), on)
    p = tl.load(p + lane, mask=on, other=0.0)
    kind = p.dtype
    q, gain = tile.load(q, lane, on, p), tile.load(gain, lane, on, p)
    threshold, alpha = _own(thresholds, threshold, lane, on, p), tile.number(alpha, p)
    state = (row * segments + part) * D + lane
    holds = tile.holds_end(length, start, stop, on)
    eu = tile.load(gu, row * D + lane, holds, p)
    er = tile.load(gr, row * D + lane, holds, p)
    eu += tile.load(later_u, state, on, p)
    er += tile.load(later_r, state, on, p)
    f, f_i = tl.zeros_like(p) + 1, tl.zeros_like(p)
    x += row * x_b + lane * x_d
    if gs is not None:
        gs += row * gs_b + lane * gs_d
    if gm is not None:
        gm += row * gm_b + lane * gm_d
    out = row * T * D + lane
    count = tl.cdiv(stop - start, SPAN)
    first = start + (count - 1) * SPAN
    x_soon = tile.rows(x, x_t, first, begin, end, SPAN)
    gs_soon = tile.rows(gs, gs_t, first, begin, end, SPAN)
    gm_soon = tile.rows(gm, gm_t, first, begin, end, SPAN)
    sum_p, sum_q = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    sum_gain, sum_threshold = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    for back in range(count):
        first = start + (count - 1 - back) * SPAN
        xs, gss, gms = x_soon, gs_soon, gm_soon
        x_soon = tile.rows(x, x_t, first - SPAN, begin, end, SPAN)
        gs_soon = tile.rows(gs, gs_t, first - SPAN, begin, end, SPAN)
        gm_soon = tile.rows(gm, gm_t, first - SPAN, begin, end, SPAN)
        keep = (row * tl.cdiv(T, SPAN) + first // SPAN) * D + lane
        us = (tl.load(saved_u + keep, mask=on, other=0.0),)
        rs = (tl.load(saved_r + keep, mask=on, other=0.0),)
        for k in tl.static_range(SPAN):
            next_u, next_r = _turn(us[k], rs[k], p, q, gain * xs[k].to(kind))
            us, rs = us + (next_u,), rs + (next_r,)
        some_p, some_q, some_gain = tl.zeros_like(p), tl.zeros_like(p), tl.zeros_like(p)
        some_threshold = tl.zeros_like(p)
        for k in tl.static_range(SPAN - 1, -1, -1):
            t = first + k
            live = t < end
            du = eu
            if gs is not None:
                slope = tile.derivative(us[k + 1] - threshold, alpha, SURROGATE)
                du += gss[k].to(kind) * slope
                if gthresholds is not None:
                    some_threshold -= tl.where(live, gss[k].to(kind) * slope, 0.0)
            if gm is not None:
                du += gms[k].to(kind)
            if gx is not None:
                value = tl.where(live, gain * du, 0.0).to(gx.dtype.element_ty)
                tl.store(gx + out + t * D, value, mask=t < ends)
            if gpqg is not None:
                some_p += tl.where(live, du * us[k] + er * rs[k], 0.0)
                some_q += tl.where(live, er * us[k] - du * rs[k], 0.0)
                some_gain += tl.where(live, du * xs[k].to(kind), 0.0)
            # The conjugate turns backwards.
            next_u, next_r = _turn(du, er, p, -q, 0.0)
            eu, er = tl.where(live, next_u, eu), tl.where(live, next_r, er)
            if factor is not None:
                next_f, next_i = _turn(f, f_i, p, -q, 0.0)
                f, f_i = tl.where(live, next_f, f), tl.where(live, next_i, f_i)
        sum_p += some_p.to(tl.float64)
        sum_q += some_q.to(tl.float64)
        sum_gain += some_gain.to(tl.float64)
        sum_threshold += some_threshold.to(tl.float64)
    if gpqg is not None:
        gpqg += (row * segments + part) * 3 * D + lane
        tl.store(gpqg, sum_p, mask=on)
        tl.store(gpqg + D, sum_q, mask=on)
        tl.store(gpqg + 2 * D, sum_gain, mask=on)
    if gthresholds is not None:
        tl.store(gthresholds + state, sum_threshold, mask=on)
    if factor is not None:
        tl.store(factor + state, f, mask=on)
        tl.store(factor_i + state, f_i, mask=on)
        tl.store(gu0 + state, eu, mask=on)
        tl.store(gr0 + state, er, mask=on)
    else:
        begins = tl.where(on, start, 1) == 0
        tl.store(gu0 + row * D + lane, eu, mask=begins)
        tl.store(gr0 + row * D + lane, er, mask=begins)
