"""Linear recurrences over few lanes: time is cut into segments that run beside one another.

A lane alone waits for its own chain of operations, and too few lanes leave memory idle. Without a
reset the state after a segment is ``local + factor * state before``, where ``local`` is what the
segment makes of rest and ``factor`` the product of its multipliers. So a first pass finds the two
for each segment, :func:`carry` runs over segments, and a second pass starts each from its true
state. The input is read twice; everything else is as in one segment. Results differ from those of
one segment by rounding.
"""

# Triton reads annotations as types of arguments, and its language has no types for a checker.
# pyright: basic, reportMissingImports=false

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from spikescan.ops.gpu import tile
from spikescan.ops.gpu.launch import blocks, fresh, launch

MANY_LANES = 1 << 15
"""Lanes that keep an H200's memory busy: 132 processors of 256, each with 32 reads of 4 bytes in
flight, which is what 4.8 TB/s times some 0.7 microseconds asks for."""
SHORTEST = 128
"""Fewest steps of a segment: shorter ones would spend more on the carry than they save."""

_STEPS = 16

Parts = tuple[Tensor | None, Tensor | None]
"""Real and imaginary part of states; no imaginary part of real ones, nothing of rest."""

NONE: Parts = (None, None)


class Segments(NamedTuple):
    """Segments of the sequences of a batch."""

    rows: int
    count: int
    length: int
    """Steps of each but the last."""
    lanes: int
    """Channels of a sequence, each real or complex."""
    is_complex: bool

    @property
    def programs(self) -> int:
        return self.rows * self.count * blocks(self.lanes)

    def parts(self, like: Tensor) -> Parts:
        """Uninitialised states (B, segments, D) of the dtype of ``like``."""
        shape = (self.rows, self.count, self.lanes)
        return fresh(shape, like), fresh(shape, like) if self.is_complex else None


def split(x: Tensor, is_complex: bool, span: int) -> Segments:
    """Cut (B, T, D) in segments of a multiple of ``span`` steps; D counts two to a complex number.

    One when at least a quarter of :data:`MANY_LANES` run anyway, since several read the input
    twice; else as many as make up that number, of at least :data:`SHORTEST` steps. So this is a
    function of the shape alone.
    """
    rows, steps, width = x.shape
    lanes = width // 2 if is_complex else width
    count, length = 1, steps
    wanted = MANY_LANES // max(1, rows * lanes)
    if wanted > 4:
        length = -(-max(SHORTEST, -(-steps // wanted)) // span) * span
        count = max(1, -(-steps // length))
    return Segments(rows, count, length, lanes, is_complex)


# fmt: off
@triton.jit(do_not_specialize=["S", "D"])
def _carry(
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
    h = tile.load(tile.lanes(start, row * D + lane), on, like)
    h_i = tile.load(tile.lanes(start_i, row * D + lane), on, like)
    local, local_i = tile.lanes(local, at), tile.lanes(local_i, at)
    factor, factor_i = tile.lanes(factor, at), tile.lanes(factor_i, at)
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


def carry(local: Parts, factor: Parts, start: Parts, reverse: bool = False) -> Parts:
    """The state before each segment, or behind it when time runs backwards; ``start`` is (B, D)."""
    rows, count, lanes = local[0].shape
    out = tuple(None if part is None else fresh(part.shape, part) for part in local)
    launch(
        _carry, rows * blocks(lanes), local[0],
        *local, *factor, *start, *out, count, lanes, REVERSE=reverse, STEPS=_STEPS,
    )  # fmt: skip
    return out
