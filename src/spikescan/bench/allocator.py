"""Let freed memory stay with the process, so that no step waits for the operating system.

A large tensor that is new to the process costs a page fault every 4 KiB, which takes longer than
most of what is measured here, and whether malloc has to ask for new memory depends on what ran
before. With the memory kept, all contenders find it as a long training run does
(``spikescan train`` keeps it too: a step of the digits recipe has 6 times fewer page faults).
"""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_memory() -> bool:
    """Tell glibc to keep freed memory while the process lives; False with another allocator."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1))


def release() -> None:
    """Give what is free back to the system: the next case begins with an empty heap."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
