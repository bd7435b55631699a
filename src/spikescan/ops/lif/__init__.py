"""Leaky integrate-and-fire with exact reset."""

from spikescan.ops.lif.api import LIFOutput, LIFState, lif

__all__ = ["LIFOutput", "LIFState", "lif"]
