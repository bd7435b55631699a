"""Train spiking networks on long sequences, run them step by step, know what they cost.

Neurons and models are torch modules with one contract: ``out, state = m(x, state)`` on whole
sequences (B, T, D), ``out_t, state = m.step(x_t, state)`` on single steps.
"""

from importlib.metadata import version

from spikescan import ops
from spikescan.neurons import (
    ALIF,
    DPLR,
    DSN,
    LIF,
    PRF,
    PSN,
    S4D,
    ALIFState,
    DSNState,
    LIFState,
    Neuron,
    PRFState,
    ProbabilisticSSM,
    ProbabilisticSSMState,
    SamplerState,
    SlidingPSN,
    SlidingPSNState,
    Spatial,
    SpatialState,
    SpikeSampler,
    SSMState,
    StateSpace,
    Stochastic,
)
from spikescan.ops import surrogate
from spikescan.ops._core.cpu import NativeMissingWarning

__version__ = version("spikescan")

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
    "NativeMissingWarning",
    "Neuron",
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
    "ops",
    "surrogate",
]
