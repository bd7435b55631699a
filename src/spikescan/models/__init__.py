"""Blocks, encoders, heads and whole networks."""

from spikescan.models.block import Block
from spikescan.models.classifier import Classifier, ClassifierState
from spikescan.models.conv import SpikingConv, SpikingConvState
from spikescan.models.groups import parameter_groups
from spikescan.models.gru import GRUBlock, GRUBlockState
from spikescan.models.norm import BatchNorm, LayerNorm, make_norm
from spikescan.models.pspikessm import ClampFuse, PSpikeSSM, PSpikeSSMState, SpikeMixer
from spikescan.models.s4d_block import S4DBlock, S4DBlockState
from spikescan.models.sdtcm import SDTCM, SDTCMState
from spikescan.models.spike_linear import SpikeLinear
from spikescan.models.spiking_ssm import SpikingSSM, SpikingSSMState
from spikescan.models.spiking_transformer import SpikingTransformer, SpikingTransformerState
from spikescan.models.tbptt import Chunk, detach_state, run_in_chunks
from spikescan.models.transformer import TransformerBlock, TransformerBlockState

__all__ = [
    "SDTCM",
    "BatchNorm",
    "Block",
    "Chunk",
    "ClampFuse",
    "Classifier",
    "ClassifierState",
    "GRUBlock",
    "GRUBlockState",
    "LayerNorm",
    "PSpikeSSM",
    "PSpikeSSMState",
    "S4DBlock",
    "S4DBlockState",
    "SDTCMState",
    "SpikeLinear",
    "SpikeMixer",
    "SpikingConv",
    "SpikingConvState",
    "SpikingSSM",
    "SpikingSSMState",
    "SpikingTransformer",
    "SpikingTransformerState",
    "TransformerBlock",
    "TransformerBlockState",
    "detach_state",
    "make_norm",
    "parameter_groups",
    "run_in_chunks",
]
