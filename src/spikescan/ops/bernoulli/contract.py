"""What every kernel of Bernoulli spikes takes and gives; their gradient, one for all, is in api."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Forward(NamedTuple):
    """Arguments of the forward kernel; it returns [U < v] (B, T, D)."""

    v: Tensor
    key: Tensor
    """(B,) int64"""
    start: Tensor
    """(B,) int64"""
