"""Spiking neurons as modules: one file a neuron, one contract for all."""

import torch

from spikescan.neurons.adaptive import ALIF, ALIFState
from spikescan.neurons.base import Neuron
from spikescan.neurons.dplr import DPLR
from spikescan.neurons.dsn import DSN, DSNState, unroll
from spikescan.neurons.lif import LIF, LIFState
from spikescan.neurons.operations import Operations
from spikescan.neurons.prf import PRF, PRFState
from spikescan.neurons.probabilistic import ProbabilisticSSM, ProbabilisticSSMState
from spikescan.neurons.psn import PSN, SlidingPSN, SlidingPSNState
from spikescan.neurons.s4d import S4D
from spikescan.neurons.sampler import SamplerState, SpikeSampler, Stochastic
from spikescan.neurons.spatial import Spatial, SpatialState
from spikescan.neurons.ssm import SSMState, StateSpace

__all__ = [
    "ALIF",
    "DPLR",
    "DSN",
    "LIF",
    "PRF",
    "PSN",
    "S4D",
    "ALIFState",
    "DSNState",
    "LIFState",
    "Neuron",
    "Operations",
    "PRFState",
    "ProbabilisticSSM",
    "ProbabilisticSSMState",
    "SSMState",
    "SamplerState",
    "SlidingPSN",
    "SlidingPSNState",
    "Spatial",
    "SpatialState",
    "SpikeSampler",
    "StateSpace",
    "Stochastic",
    "unroll",
]

# States that torch.save wrote load again with weights_only=True.
torch.serialization.add_safe_globals(  # pyright: ignore[reportUnknownMemberType]
    [kind for name, kind in list(globals().items()) if name.endswith("State")]
)
