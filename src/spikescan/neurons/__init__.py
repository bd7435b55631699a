"""Spiking neurons as modules: one file a neuron, one contract for all."""

from spikescan.neurons.base import Neuron
from spikescan.neurons.lif import LIF, LIFState
from spikescan.neurons.prf import PRF, PRFState
from spikescan.neurons.spatial import Spatial, SpatialState

__all__ = ["LIF", "PRF", "LIFState", "Neuron", "PRFState", "Spatial", "SpatialState"]
