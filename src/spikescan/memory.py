"""Memory of large tensors, which the C library gives back to the system and asks for again."""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_memory() -> bool:
    """Let freed memory stay with the process, from now on until it ends.

    A large tensor that is new to the process costs a page fault every 4 KiB, and glibc returns
    those of more than 32 MiB to the system whenever they are freed. ``spikescan train`` and
    ``spikescan bench`` call this; a loop of one's own may, at its start.

    Returns:
        Whether it does so: False with another C library than glibc, where nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1))


def release() -> None:
    """Give what is free back to the system."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
