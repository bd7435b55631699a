"""Blocks, encoders, heads and whole networks."""

import torch

from spikescan.models.backbone import Backbone, BackboneState
from spikescan.models.blocks.base import Block, Encoder
from spikescan.models.blocks.cnn import SpikingCNN, SpikingCNNState
from spikescan.models.blocks.conv import SpikingConv, SpikingConvState
from spikescan.models.blocks.gru import GRUBlock, GRUBlockState
from spikescan.models.blocks.pspikessm import ClampFuse, PSpikeSSM, PSpikeSSMState, SpikeMixer
from spikescan.models.blocks.s4d import S4DBlock, S4DBlockState
from spikescan.models.blocks.sdtcm import SDTCM, SDTCMState
from spikescan.models.blocks.spiking_ssm import SpikingSSM, SpikingSSMState
from spikescan.models.blocks.spiking_transformer import SpikingTransformer, SpikingTransformerState
from spikescan.models.blocks.transformer import TransformerBlock, TransformerBlockState
from spikescan.models.groups import parameter_groups
from spikescan.models.heads import (
    Head,
    LastHead,
    LastHeadState,
    MeanHead,
    MeanHeadState,
    StepHead,
    StepHeadState,
    WindowHead,
    WindowHeadState,
)
from spikescan.models.network import Classifier, Network, NetworkState
from spikescan.models.norm import BatchNorm, LayerNorm, make_norm
from spikescan.models.scale import Scale
from spikescan.models.spike_linear import SpikeLinear, SteadyLinear
from spikescan.models.tbptt import Chunk, detach_state, run_in_chunks
from spikescan.models.walk import Part, walk

__all__ = [
    "SDTCM",
    "Backbone",
    "BackboneState",
    "BatchNorm",
    "Block",
    "Chunk",
    "ClampFuse",
    "Classifier",
    "Encoder",
    "GRUBlock",
    "GRUBlockState",
    "Head",
    "LastHead",
    "LastHeadState",
    "LayerNorm",
    "MeanHead",
    "MeanHeadState",
    "Network",
    "NetworkState",
    "PSpikeSSM",
    "PSpikeSSMState",
    "Part",
    "S4DBlock",
    "S4DBlockState",
    "SDTCMState",
    "Scale",
    "SpikeLinear",
    "SpikeMixer",
    "SpikingCNN",
    "SpikingCNNState",
    "SpikingConv",
    "SpikingConvState",
    "SpikingSSM",
    "SpikingSSMState",
    "SpikingTransformer",
    "SpikingTransformerState",
    "SteadyLinear",
    "StepHead",
    "StepHeadState",
    "TransformerBlock",
    "TransformerBlockState",
    "WindowHead",
    "WindowHeadState",
    "detach_state",
    "make_norm",
    "parameter_groups",
    "run_in_chunks",
    "walk",
]

# States that torch.save wrote load again with weights_only=True.
torch.serialization.add_safe_globals(  # pyright: ignore[reportUnknownMemberType]
    [kind for name, kind in list(globals().items()) if name.endswith("State")]
)
