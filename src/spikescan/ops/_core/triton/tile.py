"""Pieces of Triton kernels: where a program works, rows in flight, surrogate derivatives."""

import triton
import triton.language as tl


@triton.jit
def place(T, D, segments, segment, LANES: tl.constexpr):
    """Row, segment, channels, which of them exist, and the steps start .. stop of this program."""
    blocks = tl.cdiv(D, LANES)
    at = tl.program_id(0).to(tl.int64)
    lane = at % blocks * LANES + tl.arange(0, LANES)
    part = at // blocks % segments
    start = part * segment
    return at // blocks // segments, part, lane, lane < D, start, tl.minimum(start + segment, T)


@triton.jit
def limit(steps, on):
    """A number of steps for every channel, so that ``t < limit`` is the mask of step t."""
    return tl.where(on, steps, 0)


@triton.jit
def length_of(lengths, row, T):
    """Number of valid steps of a row."""
    return T if lengths is None else tl.load(lengths + row)


@triton.jit
def holds_end(length, start, stop, on):
    """For every channel, whether the last valid step is of this segment; of none, the first is."""
    last = tl.where(on, tl.maximum(length, 1), 0)
    return (last > limit(start, on)) & (last <= tl.maximum(limit(stop, on), 1))


@triton.jit
def number(value, like):
    """A scalar argument for every channel, rounded once to the dtype of the state."""
    return tl.full(like.shape, value, like.dtype)


@triton.jit
def load(at, offset, on, like):
    """One row in the dtype of the state; zero for a tensor that is absent."""
    if at is None:
        return tl.zeros_like(like)
    else:
        return tl.load(at + offset, mask=on, other=0.0).to(like.dtype)


@triton.jit
def rows(at, step, first, begin, end, STEPS: tl.constexpr):
    """Rows first .. first + STEPS of a tensor as they lie in memory, zero outside begin .. end; no
    rows of a tensor that is absent.

    Nothing waits for them here: all are in flight until a step uses one. Kernels ask for the next
    rows before they work on these, which hides the memory's latency behind STEPS steps.
    """
    out = ()
    for k in tl.static_range(STEPS if at is not None else 0):
        t = first + k
        out = out + (tl.load(at + t * step, mask=(t < end) & (begin <= t), other=0.0),)
    return out


@triton.jit
def derivative(v, a, CODE: tl.constexpr):
    """The surrogate of spikescan.ops.surrogate with this code and parameter at v."""
    if CODE == 0:
        y = v * (1.5707963267948966 * a)
        return 0.5 * a / (1 + y * y)
    elif CODE == 1:
        e = tl.exp(-tl.abs(a * v))
        return a * e / ((1 + e) * (1 + e))
    elif CODE == 2:
        y = 1 + a * tl.abs(v)
        return 1 / (y * y)
    elif CODE == 3:
        y = 1 - a * tl.abs(v)
        return a * tl.where(y <= 0, 0.0, y)
    elif CODE == 4:
        return tl.where(tl.abs(v) <= 0.5 * a, 1 / a, 0.0)
    else:
        tl.static_assert(CODE == 5)
        y = v / a
        return 0.3989422804014327 / a * tl.exp(-0.5 * y * y)
