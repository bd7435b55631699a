"""A block whose linear state-space layer drives spiking neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spikescan.models.blocks.base import Block, row_keys
from spikescan.models.norm import NormKind, make_norm
from spikescan.models.spike_linear import SpikeLinear
from spikescan.models.walk import Trail
from spikescan.neurons import LIF, S4D, Neuron, SSMState, StateSpace
from spikescan.neurons.base import make_part
from spikescan.neurons.dropout import Dropout
from spikescan.neurons.dynamics import told


class SpikingSSMState(NamedTuple):
    """State of :class:`SpikingSSM`."""

    ssm: SSMState
    neuron: Any


class SpikingSSM(Block):
    r"""A state-space layer whose output fires any neuron of the library.

    .. math::
        y = \mathrm{SSM}(\mathrm{Norm}(x)) + S \odot \mathrm{Norm}(x), \qquad
        s = \mathrm{Neuron}(y), \qquad z = x + \mathrm{Dropout}(\mathrm{Linear}(s))

    The stream is real-valued; what the Linear gets are spikes. S starts standard normal.

    Args:
        features: width D of the stream.
        neuron: makes the neuron from its width.
        ssm: makes the state-space layer from its width. A two-sided one reads the future.
        norm: normalisation of what enters the state-space layer.
        dropout: probability of dropping an element that joins the stream, in training.
        residual: add x; otherwise the block replaces the stream.

    Raises:
        ValueError: an argument is out of range, an input has another number of channels, or a
            block that is not causal gets a state or a step.

    Source: the spiking state-space network into which Huang et al. 2026 (arXiv 2602.01133) put
    their neuron: layers of S4D, a spiking neuron and a linear map, with residuals.

    >>> from spikescan import PRF
    >>> block = SpikingSSM(8, neuron=PRF)
    >>> out, state = block(torch.randn(2, 50, 8))
    >>> out.shape
    torch.Size([2, 50, 8])
    """

    def __init__(
        self,
        features: int,
        *,
        neuron: Callable[[int], Neuron] = LIF,
        ssm: Callable[[int], StateSpace] = S4D,
        norm: NormKind = "batch",
        dropout: float = 0.0,
        residual: bool = True,
    ) -> None:
        super().__init__(features)
        self.norm = make_norm(norm, features)
        self.ssm = make_part("ssm", ssm, features, StateSpace)
        self.skip = nn.Parameter(torch.randn(features))
        self.neuron = make_part("neuron", neuron, features, Neuron)
        self.linear = SpikeLinear(features, features)
        self.dropout = Dropout(dropout)
        self.residual = residual

    def extra_repr(self) -> str:
        return told(residual=self.residual)

    def parts(self, trail: Trail, x: str) -> str:
        y = trail.scan("ssm", trail.norm("norm", x), self.skip)
        z = trail.synapse("linear", trail.neurons("neuron", y))
        return trail.sum("after", x, z) if self.residual else z

    def forward(
        self,
        x: Tensor,
        state: SpikingSSMState | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | Tensor | None = None,
    ) -> tuple[Tensor, SpikingSSMState | None]:
        x, lengths = self.enter(x, state, SpikingSSMState, lengths)
        (own,) = row_keys(x, state, generator, self.neuron)
        before, fired = (None, None) if state is None else state
        y, after = self.ssm(self.norm(x, lengths), before, lengths, self.skip)
        s, fired = self.neuron(y, fired, lengths, **own)
        z = self.dropout(self.linear(s))
        new = SpikingSSMState(after, fired) if self.causal else None
        return x + z if self.residual else z, new
