"""Product of spikes with a weight matrix."""

from spikescan.ops.spike_linear.api import spike_linear

__all__ = ["spike_linear"]
