"""Leaky integrate-and-fire with exact reset."""

from spikescan.ops.lif.api import lif

__all__ = ["lif"]
