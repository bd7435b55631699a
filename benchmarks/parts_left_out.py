"""Blocks with a part left out, for ``neurons_digits.py``: own classes, named in a recipe."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from spikescan import PRF
from spikescan.models import SDTCM, PSpikeSSM
from spikescan.models.walk import Trail
from spikescan.neurons import DPLR, Neuron, StateSpace


class FixedAlpha(SDTCM):
    """An SD-TCM with a pre-norm whose α stays 1; after a norm it would change nothing anyway."""

    def __init__(self, features: int, *, neuron: Callable[[int], Neuron] = PRF) -> None:
        super().__init__(features, neuron=neuron, prenorm=True)
        assert self.channel_mixer.log_scale is not None
        self.channel_mixer.log_scale.requires_grad_(False)


class NoMixer(PSpikeSSM):
    """A P-SpikeSSM without SpikeMixer: its spikes go into the stream as they are."""

    def __init__(self, features: int, *, ssm: Callable[[int], StateSpace] = DPLR) -> None:
        super().__init__(features, ssm=ssm)
        self.mixer = nn.Identity()

    def parts(self, trail: Trail, x: str) -> str:
        assert self.gain is not None
        assert self.bias is not None
        s = trail.neurons("sampler", trail.affine("affine", x, self.gain, self.bias))
        fuse = trail.into("fuse")
        return fuse.norm("norm", fuse.sum("after", x, trail.neurons("neuron", s)))
