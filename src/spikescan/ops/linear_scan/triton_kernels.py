"""The Triton kernels of the linear scan."""

import triton
import triton.language as tl

from spikescan.ops._core.triton import tile

_SIZES = ["T", "C", "segments", "segment", "a_b", "a_t", "a_d"]


# fmt: off
@triton.jit(do_not_specialize=[*_SIZES, "b_b", "b_t", "b_d"])
def forward_kernel(
    a, b, h0, h0_i, lengths, out, last, last_i, factor, factor_i,
    T: tl.int64, C: tl.int64, segments: tl.int64, segment: tl.int64,
    a_b: tl.int64, a_t: tl.int64, a_d: tl.int64, b_b: tl.int64, b_t: tl.int64, b_d: tl.int64,
    COMPLEX: tl.constexpr, PER_STEP: tl.constexpr, SPAN: tl.constexpr, LANES: tl.constexpr,
):
    # fmt: on
    """C counts channels, each of WIDTH neighbouring lanes. Without ``out`` this is the first pass
    over segments: it leaves in ``last`` and ``factor`` what each does."""
    WIDTH: tl.constexpr = 2 if COMPLEX else 1
    row, part, lane, on, start, stop = tile.place(T, C, segments, segment, LANES)
    length = tile.length_of(lengths, row, T)
    begin, ends = tile.limit(start, on), tile.limit(stop, on)
    end = tile.limit(tl.minimum(length, stop), on)
    like = tl.zeros([LANES], last.dtype.element_ty)
    kind = like.dtype
    state = (row * segments + part) * C + lane
    h = tile.load(h0, state, on, like)
    h_i = tile.load(h0_i, state, on, like)
    f, f_i = like + 1, like
    a += row * a_b + lane * WIDTH * a_d
    b += row * b_b + lane * WIDTH * b_d
    a_i = a + a_d if COMPLEX else None
    b_i = b + b_d if COMPLEX else None
    m, m_i = like, like
    if not PER_STEP:
        m, m_i = tile.load(a, 0, on, like), tile.load(a_i, 0, on, like)
        a, a_i = None, None
    x_soon = tile.rows(b, b_t, start, begin, end, SPAN)
    y_soon = tile.rows(b_i, b_t, start, begin, end, SPAN)
    m_soon = tile.rows(a, a_t, start, begin, end, SPAN)
    n_soon = tile.rows(a_i, a_t, start, begin, end, SPAN)
    for first in range(start, stop, SPAN):
        xs, ys, ms, ns = x_soon, y_soon, m_soon, n_soon
        x_soon = tile.rows(b, b_t, first + SPAN, begin, end, SPAN)
        y_soon = tile.rows(b_i, b_t, first + SPAN, begin, end, SPAN)
        m_soon = tile.rows(a, a_t, first + SPAN, begin, end, SPAN)
        n_soon = tile.rows(a_i, a_t, first + SPAN, begin, end, SPAN)
        for k in tl.static_range(SPAN):
            t = first + k
            live = t < end
            at = (row * T + t) * C * WIDTH + lane * WIDTH
            if PER_STEP:
                m = ms[k].to(kind)
            if COMPLEX:
                if PER_STEP:
                    m_i = ns[k].to(kind)
                real = (m * h - m_i * h_i) + xs[k].to(kind)
                imag = (m_i * h + m * h_i) + ys[k].to(kind)
                h_i = tl.where(live, imag, h_i)
                if out is not None:
                    value = tl.where(live, h_i, 0.0).to(out.dtype.element_ty)
                    tl.store(out + at + 1, value, mask=t < ends)
            else:
                real = m * h + xs[k].to(kind)
            h = tl.where(live, real, h)
            if out is not None:
                value = tl.where(live, h, 0.0).to(out.dtype.element_ty)
                tl.store(out + at, value, mask=t < ends)
            if factor is not None:
                f, f_i = m * f - m_i * f_i, m_i * f + m * f_i
    if factor is not None:
        tl.store(factor + state, f, mask=on)
        tl.store(last + state, h, mask=on)
        if COMPLEX:
            tl.store(factor_i + state, f_i, mask=on)
            tl.store(last_i + state, h_i, mask=on)
    else:
        holds = tile.holds_end(length, start, stop, on)
        tl.store(last + row * C + lane, h, mask=holds)
        if COMPLEX:
            tl.store(last_i + row * C + lane, h_i, mask=holds)


# fmt: off
@triton.jit(do_not_specialize=[*_SIZES, "g_b", "g_t", "g_d"])
def backward_kernel(
    a, h, h0, h0_i, lengths, g, gh, gh_i, later, later_i, ga, gb, gh0, gh0_i, factor, factor_i,
    T: tl.int64, C: tl.int64, segments: tl.int64, segment: tl.int64,
    a_b: tl.int64, a_t: tl.int64, a_d: tl.int64, g_b: tl.int64, g_t: tl.int64, g_d: tl.int64,
    COMPLEX: tl.constexpr, PER_STEP: tl.constexpr, SPAN: tl.constexpr, LANES: tl.constexpr,
):
    # fmt: on
    """``later`` holds what comes back from the segment behind. Without ``gb`` this is the first
    pass over segments: it leaves in ``gh0`` and ``factor`` what each does."""
    WIDTH: tl.constexpr = 2 if COMPLEX else 1
    row, part, lane, on, start, stop = tile.place(T, C, segments, segment, LANES)
    length = tile.length_of(lengths, row, T)
    begin, ends, zero = tile.limit(start, on), tile.limit(stop, on), tile.limit(0, on)
    end = tile.limit(tl.minimum(length, stop), on)
    like = tl.zeros([LANES], gh0.dtype.element_ty)
    kind = like.dtype
    state = (row * segments + part) * C + lane
    holds = tile.holds_end(length, start, stop, on)
    e = tile.load(gh, row * C + lane, holds, like)
    e_i = tile.load(gh_i, row * C + lane, holds, like)
    e += tile.load(later, state, on, like)
    e_i += tile.load(later_i, state, on, like)
    before0 = tile.load(h0, row * C + lane, on, like)
    before0_i = tile.load(h0_i, row * C + lane, on, like)
    f, f_i = like + 1, like
    a += row * a_b + lane * WIDTH * a_d
    a_i = a + a_d if COMPLEX else None
    m, m_i = like, like
    if not PER_STEP:
        m, m_i = tile.load(a, 0, on, like), tile.load(a_i, 0, on, like)
        a, a_i = None, None
    g += row * g_b + lane * WIDTH * g_d
    g_i = g + g_d if COMPLEX else None
    D = C * WIDTH
    # Row t of these is the state before step t.
    h = h + (row * T - 1) * D + lane * WIDTH if ga is not None else None
    h_i = None if h is None or not COMPLEX else h + 1
    total, total_i = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    count = tl.cdiv(stop - start, SPAN)
    first = start + (count - 1) * SPAN
    g_soon = tile.rows(g, g_t, first, begin, end, SPAN)
    k_soon = tile.rows(g_i, g_t, first, begin, end, SPAN)
    m_soon = tile.rows(a, a_t, first, begin, end, SPAN)
    n_soon = tile.rows(a_i, a_t, first, begin, end, SPAN)
    h_soon = tile.rows(h, D, first, zero + 1, end, SPAN)
    j_soon = tile.rows(h_i, D, first, zero + 1, end, SPAN)
    for back in range(count):
        first = start + (count - 1 - back) * SPAN
        gs, ks, ms, ns, hs, js = g_soon, k_soon, m_soon, n_soon, h_soon, j_soon
        g_soon = tile.rows(g, g_t, first - SPAN, begin, end, SPAN)
        k_soon = tile.rows(g_i, g_t, first - SPAN, begin, end, SPAN)
        m_soon = tile.rows(a, a_t, first - SPAN, begin, end, SPAN)
        n_soon = tile.rows(a_i, a_t, first - SPAN, begin, end, SPAN)
        h_soon = tile.rows(h, D, first - SPAN, zero + 1, end, SPAN)
        j_soon = tile.rows(h_i, D, first - SPAN, zero + 1, end, SPAN)
        some, some_i = like, like
        for k in tl.static_range(SPAN - 1, -1, -1):
            t = first + k
            live = t < end
            at = (row * T + t) * D + lane * WIDTH
            if PER_STEP:
                m = ms[k].to(kind)
            if g is not None:
                e += gs[k].to(kind)
            if COMPLEX:
                if PER_STEP:
                    m_i = ns[k].to(kind)
                if g is not None:
                    e_i += ks[k].to(kind)
            if gb is not None:
                tl.store(gb + at, tl.where(live, e, 0.0).to(gb.dtype.element_ty), mask=t < ends)
                if COMPLEX:
                    value = tl.where(live, e_i, 0.0).to(gb.dtype.element_ty)
                    tl.store(gb + at + 1, value, mask=t < ends)
            if ga is not None:
                before = tl.where(t > zero, hs[k].to(kind), before0)
                grad, grad_i = e * before, like
                if COMPLEX:
                    before_i = tl.where(t > zero, js[k].to(kind), before0_i)
                    grad, grad_i = grad + e_i * before_i, e_i * before - e * before_i
                grad, grad_i = tl.where(live, grad, 0.0), tl.where(live, grad_i, 0.0)
                some += grad
                some_i += grad_i
                if PER_STEP:
                    tl.store(ga + at, grad.to(ga.dtype.element_ty), mask=t < ends)
                    if COMPLEX:
                        tl.store(ga + at + 1, grad_i.to(ga.dtype.element_ty), mask=t < ends)
            if COMPLEX:
                real, imag = m * e + m_i * e_i, m * e_i - m_i * e
                e_i = tl.where(live, imag, e_i)
                product, product_i = m * f + m_i * f_i, m * f_i - m_i * f
                f, f_i = tl.where(live, product, f), tl.where(live, product_i, f_i)
            else:
                real = m * e
                f = tl.where(live, m * f, f)
            e = tl.where(live, real, e)
        total += some.to(tl.float64)
        total_i += some_i.to(tl.float64)
    if factor is not None:
        tl.store(factor + state, f, mask=on)
        tl.store(gh0 + state, e, mask=on)
        if COMPLEX:
            tl.store(factor_i + state, f_i, mask=on)
            tl.store(gh0_i + state, e_i, mask=on)
    else:
        begins = tl.where(on, start, 1) == 0
        tl.store(gh0 + row * C + lane, e, mask=begins)
        if COMPLEX:
            tl.store(gh0_i + row * C + lane, e_i, mask=begins)
    if ga is not None and not PER_STEP:
        tl.store(ga + state * WIDTH, total, mask=on)
        if COMPLEX:
            tl.store(ga + state * WIDTH + 1, total_i, mask=on)
