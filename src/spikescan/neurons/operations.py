"""What is computed, as numbers of arithmetic operations."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Operations:
    """Numbers of operations; those of several things are added, those of many are a multiple.

    >>> 3 * Operations(multiplications=1, additions=2) + Operations(additions=1)
    Operations(macs=0, acs=0, multiplications=3, additions=7, comparisons=0, functions=0, random=0)
    """

    macs: int = 0
    """Multiply-adds: products of real numbers that are summed."""
    acs: int = 0
    """Additions of weights that spikes drive: none where none comes."""
    multiplications: int = 0
    """Multiplications outside such sums."""
    additions: int = 0
    """Additions and subtractions outside such sums."""
    comparisons: int = 0
    """Comparisons with a threshold."""
    functions: int = 0
    """Values of a function of one number: exponential, sigmoid, tanh, GELU, division, root."""
    random: int = 0
    """Random numbers."""

    def __add__(self, other: Operations) -> Operations:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Operations(*(a + b for a, b in pairs))

    def __rmul__(self, times: int) -> Operations:
        return Operations(*(times * getattr(self, f.name) for f in fields(self)))
