"""The Triton kernel that carries states from segment to segment."""

import triton
import triton.language as tl

from spikescan.ops._core.triton import tile


# fmt: off
@triton.jit(do_not_specialize=["S", "D"])
def carry_kernel(
    local, local_i, factor, factor_i, start, start_i, out, out_i, S: tl.int64, D: tl.int64,
    REVERSE: tl.constexpr, STEPS: tl.constexpr, LANES: tl.constexpr,
):
    # fmt: on
    row, _, lane, on, zero, _ = tile.place(S, D, 1, S, LANES)
    begin, end = tile.limit(zero, on), tile.limit(S, on)
    at, step = row * S * D + lane, D
    if REVERSE:
        at, step = at + (S - 1) * D, -D
    like = tl.zeros([LANES], local.dtype.element_ty)
    h = tile.load(start, row * D + lane, on, like)
    h_i = tile.load(start_i, row * D + lane, on, like)
    local += at
    factor += at
    if local_i is not None:
        local_i += at
        factor_i += at
    for first in range(0, S, STEPS):
        b = tile.rows(local, step, first, begin, end, STEPS)
        b_i = tile.rows(local_i, step, first, begin, end, STEPS)
        a = tile.rows(factor, step, first, begin, end, STEPS)
        a_i = tile.rows(factor_i, step, first, begin, end, STEPS)
        for k in tl.static_range(STEPS):
            t = first + k
            tl.store(out + at + t * step, h, mask=t < end)
            if out_i is None:
                h = a[k] * h + b[k]
            else:
                tl.store(out_i + at + t * step, h_i, mask=t < end)
                real = a[k] * h - a_i[k] * h_i + b[k]
                h_i = a_i[k] * h + a[k] * h_i + b_i[k]
                h = real
