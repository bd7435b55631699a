"""The linear recurrence under every neuron without reset."""

from spikescan.ops.linear_scan.api import linear_scan

__all__ = ["linear_scan"]
