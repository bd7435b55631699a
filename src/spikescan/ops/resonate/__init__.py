"""The parallel resonate-and-fire neuron."""

from spikescan.ops.resonate.api import PRFState, ResonateOutput, resonate
from spikescan.ops.resonate.coefficients import coefficients

__all__ = ["PRFState", "ResonateOutput", "coefficients", "resonate"]
