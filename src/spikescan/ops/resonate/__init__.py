"""The parallel resonate-and-fire neuron."""

from spikescan.ops.resonate.api import coefficients, resonate

__all__ = ["coefficients", "resonate"]
