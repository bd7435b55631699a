"""The spatial neuron: a threshold without memory."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from spikescan import ops
from spikescan.neurons.base import Neuron
from spikescan.neurons.dynamics import told
from spikescan.neurons.operations import Operations
from spikescan.ops.spike.api import step
from spikescan.ops.surrogate import ATan, Surrogate


class SpatialState(NamedTuple):
    """State of :class:`Spatial`, which remembers nothing."""


class Spatial(Neuron):
    r"""Neurons without memory, the limit of LIF for :math:`\tau \to 1`.

    .. math:: s_t = [x_t \ge V]

    The trainable amplitude α that the SD-TCM block gives these spikes lives in the block, where it
    scales the weights that follow, so that spikes stay 0 or 1.

    Args:
        features: number of neurons D.
        threshold: firing threshold V; a number, one for each neuron, or a parameter to train.
        learnable_threshold: train the threshold of each neuron.
        surrogate: derivative of the spike.

    Raises:
        ValueError: an input has another number of channels.

    Source: Huang et al. 2024 (arXiv 2410.03530), section 4.4.

    >>> import torch
    >>> Spatial(1)(torch.tensor([[[0.4], [0.5]]]))[0].flatten()
    tensor([0., 1.])
    """

    threshold: float | Tensor

    def __init__(
        self,
        features: int,
        *,
        threshold: float | Tensor = 0.5,
        learnable_threshold: bool = False,
        surrogate: Surrogate = ATan(),
    ) -> None:
        super().__init__(features)
        self.hold("threshold", threshold, learnable=learnable_threshold)
        self.surrogate = surrogate

    def forward(
        self, x: Tensor, state: SpatialState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, SpatialState]:
        self.require_state(state, SpatialState)
        if lengths is None:
            spikes = step(x, self.features, self.threshold)
            if spikes is not None:
                return spikes, SpatialState()
        self.check_width(x)
        spikes = ops.spike(x, self.threshold, surrogate=self.surrogate, lengths=lengths)
        return spikes, SpatialState()

    def operations(self) -> Operations:
        """The comparison alone."""
        return Operations(comparisons=1)

    def extra_repr(self) -> str:
        return told(
            self.features,
            threshold=self.threshold,
            learnable_threshold=isinstance(self.threshold, nn.Parameter),
            surrogate=self.surrogate,
        )
