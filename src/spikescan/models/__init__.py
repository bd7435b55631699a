"""Blocks, encoders, heads and whole networks."""

from spikescan.models.block import Block
from spikescan.models.classifier import Classifier, ClassifierState
from spikescan.models.groups import parameter_groups
from spikescan.models.norm import BatchNorm, LayerNorm, make_norm
from spikescan.models.sdtcm import SDTCM, SDTCMState

__all__ = [
    "SDTCM",
    "BatchNorm",
    "Block",
    "Classifier",
    "ClassifierState",
    "LayerNorm",
    "SDTCMState",
    "make_norm",
    "parameter_groups",
]
