"""Options within their limits."""

from __future__ import annotations

import math


def within(owner: object, **options: tuple[float, float, float]) -> None:
    """Raise ``ValueError`` naming the first option, (value, low, high), that is out of range."""
    for name, (value, low, high) in options.items():
        if not (low <= value <= high and math.isfinite(value)):
            limits = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
            raise ValueError(f"{name} of {type(owner).__name__} must be {limits}, got {value}")
