"""Linear recurrences over few lanes: time is cut into segments that run beside one another.

A lane alone waits for its own chain of operations, and too few lanes leave memory idle. Without a
reset the state after a segment is ``local + factor * state before``, where ``local`` is what the
segment makes of rest and ``factor`` the product of its multipliers. So a first pass finds the two
for each segment, :func:`carry` runs over segments, and a second pass starts each from its true
state. The input is read twice; everything else is as in one segment. Results differ from those of
one segment by rounding.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from spikescan.ops._core.triton.kernels import carry_kernel
from spikescan.ops._core.triton.launch import blocks, fresh, launch

MANY_LANES = 1 << 15
"""Lanes that keep an H200's memory busy: 132 processors of 256, each with 32 reads of 4 bytes in
flight, which is what 4.8 TB/s times some 0.7 microseconds asks for."""
SHORTEST = 128
"""Fewest steps of a segment: shorter ones would spend more on the carry than they save."""

_STEPS = 16

Parts = tuple[Tensor, Tensor | None]
"""Real and imaginary part of states; real ones have no imaginary part."""

Start = tuple[Tensor | None, Tensor | None]
"""The same, or nothing for rest."""

REST: Start = (None, None)


class Segments(NamedTuple):
    """Segments of the sequences of a batch."""

    rows: int
    number: int
    length: int
    """Steps of each but the last."""
    lanes: int
    """Channels of a sequence, each real or complex."""
    is_complex: bool

    @property
    def programs(self) -> int:
        return self.rows * self.number * blocks(self.lanes)

    def effects(self, like: Tensor) -> tuple[Parts, Parts]:
        """Uninitialised ``local`` and ``factor`` of all segments, with the dtype of ``like``."""
        shape = (self.rows, self.number, self.lanes)
        return _parts(shape, like, self.is_complex), _parts(shape, like, self.is_complex)

    def states(self, like: Tensor) -> Parts:
        """Uninitialised states of the rows, with the dtype of ``like``."""
        return _parts((self.rows, self.lanes), like, self.is_complex)


def _parts(shape: tuple[int, ...], like: Tensor, is_complex: bool) -> Parts:
    return fresh(shape, like), fresh(shape, like) if is_complex else None


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


def carry(local: Parts, factor: Parts, start: Start, reverse: bool = False) -> Parts:
    """The state before each segment, or behind it when time runs backwards; ``start`` is (B, D)."""
    rows, count, lanes = local[0].shape
    real, imag = local
    out = fresh(real.shape, real), None if imag is None else fresh(imag.shape, imag)
    launch(
        carry_kernel, rows * blocks(lanes), local[0],
        *local, *factor, *start, *out, count, lanes, REVERSE=reverse, STEPS=_STEPS,
    )  # fmt: skip
    return out
