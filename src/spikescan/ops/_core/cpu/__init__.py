"""Compiled CPU kernels: C sources, the loader, and how tensors are passed to them."""

from spikescan.ops._core.cpu.library import (
    BUILT,
    LEVELS,
    NativeMissingWarning,
    available_levels,
    bfloat16,
    level,
    library,
)

__all__ = [
    "BUILT",
    "LEVELS",
    "NativeMissingWarning",
    "available_levels",
    "bfloat16",
    "level",
    "library",
]
