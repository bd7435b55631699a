"""The parallel resonate-and-fire neuron."""

from spikescan.ops.resonate.api import resonate
from spikescan.ops.resonate.coefficients import coefficients

__all__ = ["coefficients", "resonate"]
