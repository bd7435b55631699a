"""Zero numbers at random."""

from spikescan.ops.dropout.api import dropout

__all__ = ["dropout"]
