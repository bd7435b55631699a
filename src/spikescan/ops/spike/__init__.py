"""Spikes without memory."""

from spikescan.ops.spike.api import spike

__all__ = ["spike"]
