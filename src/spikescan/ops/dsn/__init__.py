"""The dynamic decay spiking neuron: the bare recurrence, and the same with its convolution."""

from spikescan.ops.dsn.api import dsn, dsn_conv

__all__ = ["dsn", "dsn_conv"]
