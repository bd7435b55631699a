"""What the kernels of :mod:`~spikescan.ops.ssm.layout`, where their gradient is, take and give."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Turn(NamedTuple):
    """Arguments of either kernel: sequences (B, T, D) or channels (D, B, P), and steps to return.

    From sequences come channels (D, B, steps), zero beyond T; from channels (B, steps, D).
    """

    x: Tensor
    steps: int
