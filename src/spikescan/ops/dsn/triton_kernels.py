"""The Triton kernels of dynamic decay."""

import triton
import triton.language as tl

from spikescan.ops._core.triton import tile

_WINDOW = tl.constexpr(-1)
_FORWARD = [
    "levels",
    "T",
    "D",
    "segments",
    "segment",
    *(f"{x}_{i}" for x in ("x", "alpha") for i in "btd"),
]
_BACKWARD = [*_FORWARD, *(f"{x}_{i}" for x in ("gs", "gm") for i in "btd")]


@triton.jit
def _count(h, top):
    """How many of the thresholds 1/2, 3/2, .. the membrane reaches; NaN reaches none."""
    h = tl.where(h > 0, h, 0.0)
    h = tl.where(h < top, h, top)
    whole = tl.floor(h)
    return tl.where(h - whole >= 0.5, whole + 1, whole)


@triton.jit
def _slope(h, levels, top, a, SURROGATE: tl.constexpr):
    """The derivative of the spikes: the window, or one surrogate for each threshold."""
    if SURROGATE == _WINDOW:
        return tl.where((h >= 0) & (h <= top), 1.0, 0.0).to(h.dtype)
    else:
        total, below = tl.zeros_like(h), h - 0.5
        for _ in range(levels):
            total += tile.derivative(below, a, SURROGATE)
            below -= 1
        return total


@triton.jit
def _decay(c, power, WHOLE: tl.constexpr):
    """sigmoid(c)^power and its derivative by c. Few whole powers are multiplied out."""
    e = tl.exp(-tl.abs(c))
    larger = 1 / (1 + e)
    smaller = e * larger
    sigmoid = tl.where(c >= 0, larger, smaller)
    if WHOLE > 0:
        decay = sigmoid
        for _ in tl.static_range(WHOLE - 1):
            decay = decay * sigmoid
    else:
        decay = tl.exp(-power * (tl.where(c >= 0, 0.0, -c) + tl.log(1 + e)))
    return decay, power * decay * tl.where(c >= 0, smaller, larger)


@triton.jit
def _inputs(rows, carried, like, CARRIED: tl.constexpr, STEPS: tl.constexpr):
    """Rows of the input, of which the first CARRIED may lie before the sequence."""
    out = ()
    for k in tl.static_range(STEPS):
        row = rows[k].to(like.dtype)
        if k < CARRIED:
            row += carried[k]
        out = out + (row,)
    return out


@triton.jit
def _decays(
    xs, given, weight, power, like, TAPS: tl.constexpr, WHOLE: tl.constexpr, SPAN: tl.constexpr
):
    """The decay at each step of a span and, where it is computed, its derivative by c."""
    decays, slopes = (), ()
    for k in tl.static_range(SPAN):
        if TAPS == 0:
            decays = decays + (given[k].to(like.dtype),)
        else:
            c = weight[TAPS]
            for m in tl.static_range(TAPS):
                c += weight[m] * xs[k + m]
            decay, slope = _decay(c, power, WHOLE)
            decays, slopes = decays + (decay,), slopes + (slope,)
    return decays, slopes


@triton.jit
def _spread(rows, changes, weight, FIRST: tl.constexpr, TAPS: tl.constexpr, STEPS: tl.constexpr):
    """Add to the gradient of each input what the decays of this and later steps owe to it.

    ``changes`` begin FIRST steps after ``rows`` and go on TAPS - 1 steps beyond their end.
    """
    out = ()
    for k in tl.static_range(STEPS):
        row = rows[k]
        for m in tl.static_range(TAPS):
            if k + TAPS - 1 - m >= FIRST:
                row += weight[m] * changes[k + TAPS - 1 - m - FIRST]
        out = out + (row,)
    return out


# fmt: off
@triton.jit(do_not_specialize=_FORWARD)
def forward_kernel(
    x, alpha, weight, h0, inputs, lengths, s, membrane, last, last_inputs, saved, factor,
    power: tl.float64, levels: tl.int64, T: tl.int64, D: tl.int64,
    segments: tl.int64, segment: tl.int64,
    x_b: tl.int64, x_t: tl.int64, x_d: tl.int64,
    alpha_b: tl.int64, alpha_t: tl.int64, alpha_d: tl.int64,
    TAPS: tl.constexpr, WHOLE: tl.constexpr, SPAN: tl.constexpr, LANES: tl.constexpr,
):
    # fmt: on
    """With TAPS = 0 the decay is given. Without ``s`` this is the first pass over segments: it
    leaves in ``last`` and ``factor`` what each does."""
    LEAD: tl.constexpr = TAPS - 1 if TAPS > 0 else 0
    CARRIED: tl.constexpr = LEAD if inputs is not None else 0
    row, part, lane, on, start, stop = tile.place(T, D, segments, segment, LANES)
    length = tile.length_of(lengths, row, T)
    begin, ends, zero = tile.limit(start, on), tile.limit(stop, on), tile.limit(0, on)
    end = tile.limit(tl.minimum(length, stop), on)
    like = tl.zeros([LANES], last.dtype.element_ty)
    power, top = tile.number(power, like), tile.number(levels, like)
    state = (row * segments + part) * D + lane
    h, f = tile.load(h0, state, on, like), like + 1
    x += row * x_b + lane * x_d
    if alpha is not None:
        alpha += row * alpha_b + lane * alpha_d
    if inputs is not None:
        inputs += (row + 1) * LEAD * D + lane
    if weight is not None:
        weight += lane
    w = tile.rows(weight, D, 0, zero, tile.limit(TAPS + 1, on), TAPS + 1)
    out = row * T * D + lane
    x_soon = tile.rows(x, x_t, start - LEAD, zero, end, SPAN + LEAD)
    a_soon = tile.rows(alpha, alpha_t, start, begin, end, SPAN)
    for first in range(start, stop, SPAN):
        x_now, a_now = x_soon, a_soon
        x_soon = tile.rows(x, x_t, first + SPAN - LEAD, zero, end, SPAN + LEAD)
        a_soon = tile.rows(alpha, alpha_t, first + SPAN, begin, end, SPAN)
        carried = tile.rows(inputs, D, first - LEAD, zero - LEAD, zero, LEAD)
        xs = _inputs(x_now, carried, like, CARRIED, SPAN + LEAD)
        decays, _ = _decays(xs, a_now, w, power, like, TAPS, WHOLE, SPAN)
        if saved is not None:
            tl.store(saved + (row * tl.cdiv(T, SPAN) + first // SPAN) * D + lane, h, mask=on)
        for k in tl.static_range(SPAN):
            t = first + k
            live = t < end
            h = tl.where(live, decays[k] * h + (1 - decays[k]) * xs[k + LEAD], h)
            if s is not None:
                spikes = tl.where(live, _count(h, top), 0.0)
                tl.store(s + out + t * D, spikes.to(s.dtype.element_ty), mask=t < ends)
            if membrane is not None:
                tl.store(membrane + out + t * D, tl.where(live, h, 0.0), mask=t < ends)
            if factor is not None:
                f = decays[k] * f
    if factor is not None:
        tl.store(factor + state, f, mask=on)
        tl.store(last + state, h, mask=on)
    else:
        tl.store(last + row * D + lane, h, mask=tile.holds_end(length, start, stop, on))
    if LEAD > 0:
        final = tile.rows(x, x_t, length - LEAD, zero, end, LEAD)
        carried = tile.rows(inputs, D, length - LEAD, zero - LEAD, zero, LEAD)
        final = _inputs(final, carried, like, CARRIED, LEAD)
        for k in tl.static_range(LEAD):
            tl.store(last_inputs + (row * LEAD + k) * D + lane, final[k], mask=on)


# fmt: off
@triton.jit(do_not_specialize=_BACKWARD)
def backward_kernel(
    x, alpha, weight, inputs, saved, lengths, gs, gm, gh, glast, later,
    gx, galpha, gweight, gh0, ginputs, factor, power: tl.float64, a: tl.float64,
    levels: tl.int64, T: tl.int64, D: tl.int64, segments: tl.int64, segment: tl.int64,
    x_b: tl.int64, x_t: tl.int64, x_d: tl.int64,
    alpha_b: tl.int64, alpha_t: tl.int64, alpha_d: tl.int64,
    gs_b: tl.int64, gs_t: tl.int64, gs_d: tl.int64, gm_b: tl.int64, gm_t: tl.int64, gm_d: tl.int64,
    SURROGATE: tl.constexpr, TAPS: tl.constexpr, WHOLE: tl.constexpr, SPAN: tl.constexpr,
    LANES: tl.constexpr,
):
    # fmt: on
    """``later`` holds what comes back from the segment behind. Without ``gx`` this is the first
    pass over segments: it leaves in ``gh0`` and ``factor`` what each does. With a convolution there
    is one segment."""
    LEAD: tl.constexpr = TAPS - 1 if TAPS > 0 else 0
    CARRIED: tl.constexpr = LEAD if inputs is not None else 0
    row, part, lane, on, start, stop = tile.place(T, D, segments, segment, LANES)
    length = tile.length_of(lengths, row, T)
    begin, ends, zero = tile.limit(start, on), tile.limit(stop, on), tile.limit(0, on)
    end = tile.limit(tl.minimum(length, stop), on)
    like = tl.zeros([LANES], gh0.dtype.element_ty)
    kind = like.dtype
    power, a, top = tile.number(power, like), tile.number(a, like), tile.number(levels, like)
    state = (row * segments + part) * D + lane
    holds = tile.holds_end(length, start, stop, on)
    e = tile.load(gh, row * D + lane, holds, like)
    e += tile.load(later, state, on, like)
    f = like + 1
    x += row * x_b + lane * x_d
    if alpha is not None:
        alpha += row * alpha_b + lane * alpha_d
    if gs is not None:
        gs += row * gs_b + lane * gs_d
    if gm is not None:
        gm += row * gm_b + lane * gm_d
    if inputs is not None:
        inputs += (row + 1) * LEAD * D + lane
    # Row t of the gradient of the final inputs is that of step t, for the last LEAD valid steps.
    if glast is not None:
        glast += ((row + 1) * LEAD - length) * D + lane
    if weight is not None:
        weight += lane
    w = tile.rows(weight, D, 0, zero, tile.limit(TAPS + 1, on), TAPS + 1)
    out = row * T * D + lane
    count = tl.cdiv(stop - start, SPAN)
    first = start + (count - 1) * SPAN
    x_soon = tile.rows(x, x_t, first - LEAD, zero, end, SPAN + LEAD)
    a_soon = tile.rows(alpha, alpha_t, first, begin, end, SPAN)
    gs_soon = tile.rows(gs, gs_t, first, begin, end, SPAN)
    gm_soon = tile.rows(gm, gm_t, first, begin, end, SPAN)
    sums, beyond = (), ()
    for _ in tl.static_range(TAPS + 1 if gweight is not None else 0):
        sums = sums + (tl.zeros([LANES], tl.float64),)
    for _ in tl.static_range(LEAD):
        beyond = beyond + (like,)
    for back in range(count):
        first = start + (count - 1 - back) * SPAN
        x_now, a_now, gs_now, gm_now = x_soon, a_soon, gs_soon, gm_soon
        x_soon = tile.rows(x, x_t, first - SPAN - LEAD, zero, end, SPAN + LEAD)
        a_soon = tile.rows(alpha, alpha_t, first - SPAN, begin, end, SPAN)
        gs_soon = tile.rows(gs, gs_t, first - SPAN, begin, end, SPAN)
        gm_soon = tile.rows(gm, gm_t, first - SPAN, begin, end, SPAN)
        carried = tile.rows(inputs, D, first - LEAD, zero - LEAD, zero, LEAD)
        xs = _inputs(x_now, carried, like, CARRIED, SPAN + LEAD)
        decays, slopes = _decays(xs, a_now, w, power, like, TAPS, WHOLE, SPAN)
        keep = (row * tl.cdiv(T, SPAN) + first // SPAN) * D + lane
        h = (tl.load(saved + keep, mask=on, other=0.0),)
        for k in tl.static_range(SPAN):
            h = h + (decays[k] * h[k] + (1 - decays[k]) * xs[k + LEAD],)
        direct, changes = (), beyond
        for k in tl.static_range(SPAN - 1, -1, -1):
            t = first + k
            live = t < end
            delta = e
            if gs is not None:
                delta += gs_now[k].to(kind) * _slope(h[k + 1], levels, top, a, SURROGATE)
            if gm is not None:
                delta += gm_now[k].to(kind)
            delta = tl.where(live, delta, 0.0)
            change = delta * tl.where(live, h[k] - xs[k + LEAD], 0.0)
            e = tl.where(live, decays[k] * delta, e)
            if factor is not None:
                f = tl.where(live, decays[k] * f, f)
            if galpha is not None:
                tl.store(galpha + out + t * D, change.to(galpha.dtype.element_ty), mask=t < ends)
            if TAPS > 0:
                changes = (change * slopes[k],) + changes
            direct = ((1 - decays[k]) * delta,) + direct
        if TAPS > 0:
            direct = _spread(direct, changes, w, 0, TAPS, SPAN)
            beyond = ()
            for k in tl.static_range(LEAD):
                beyond = beyond + (changes[k],)
            if gweight is not None:
                more = ()
                for m in tl.static_range(TAPS + 1):
                    some = like
                    for k in tl.static_range(SPAN):
                        if m < TAPS:
                            some += changes[k] * xs[k + m]
                        else:
                            some += changes[k]
                    more = more + (sums[m] + some.to(tl.float64),)
                sums = more
        if gx is not None:
            due = tile.rows(glast, D, first, end - LEAD, end, SPAN)
            for k in tl.static_range(SPAN):
                t = first + k
                value = direct[k]
                if glast is not None:
                    value += due[k]
                tl.store(gx + out + t * D, value.to(gx.dtype.element_ty), mask=t < ends)
    if LEAD > 0:
        rest = ()
        for _ in tl.static_range(LEAD):
            rest = rest + (like,)
        rest = _spread(rest, beyond, w, LEAD, TAPS, LEAD)
        due = tile.rows(glast, D, -LEAD, end - LEAD, end, LEAD)
        for k in tl.static_range(LEAD):
            value = rest[k]
            if glast is not None:
                value += due[k]
            tl.store(ginputs + (row * LEAD + k) * D + lane, value, mask=on)
    for m in tl.static_range(TAPS + 1 if gweight is not None else 0):
        tl.store(gweight + (row * (TAPS + 1) + m) * D + lane, sums[m], mask=on)
    if factor is not None:
        tl.store(factor + state, f, mask=on)
        tl.store(gh0 + state, e, mask=on)
    else:
        tl.store(gh0 + row * D + lane, e, mask=tl.where(on, start, 1) == 0)
