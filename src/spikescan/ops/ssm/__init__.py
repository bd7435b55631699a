"""Linear state-space models over whole sequences."""

from spikescan.ops.ssm.api import SSMOutput, ssm
from spikescan.ops.ssm.hippo import LegS, legs, legs_modes, linear_modes
from spikescan.ops.ssm.system import Diagonal, LowRank, diagonal, low_rank

__all__ = [
    "Diagonal",
    "LegS",
    "LowRank",
    "SSMOutput",
    "diagonal",
    "legs",
    "legs_modes",
    "linear_modes",
    "low_rank",
    "ssm",
]
