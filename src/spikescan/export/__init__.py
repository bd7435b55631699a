"""A trained network for other machines: C99."""

from spikescan.export.c import Written, to_c

__all__ = ["Written", "to_c"]
