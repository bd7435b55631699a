"""The probabilistic spiking neuron with a state-space model inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikescan.neurons.base import make_part
from spikescan.neurons.dplr import DPLR
from spikescan.neurons.dropout import Dropout
from spikescan.neurons.dynamics import told
from spikescan.neurons.operations import Operations
from spikescan.neurons.sampler import Evaluation, SamplerState, Stochastic
from spikescan.neurons.ssm import SSMState, StateSpace


class ProbabilisticSSMState(NamedTuple):
    """State of :class:`ProbabilisticSSM`."""

    ssm: SSMState | None
    """State of the linear model; None is rest."""
    sampler: SamplerState
    """Position in the stream of random numbers."""


class ProbabilisticSSM(Stochastic):
    r"""Neurons whose membrane is a state-space model and whose firing is random.

    .. math::
        h_t = A h_{t-1} + B x_t, \qquad v_t = a f(C h_t + S x_t) + b, \qquad
        s_t \sim \mathrm{Bernoulli}(\operatorname{clamp}(v_t, 0, 1))

    a and b are trained for each channel and start at 1 and 0. By default f is the identity and S
    is 0, the plain neuron of the paper; its network has a GELU for f and a trained S, standard
    normal at the start. The gradient passes through the clamp, see :class:`SpikeSampler`.

    Args:
        features: number of neurons D.
        ssm: makes the linear model from its width.
        activation: f, "gelu" or "none".
        skip: train a direct path S from input to membrane.
        dropout: probability of dropping f's output, in training.
        evaluation: what ``eval()`` does, see :class:`SpikeSampler`.
        votes: number of draws for "vote".

    Raises:
        ValueError: an argument is out of range, an input has another number of channels, or a
            two-sided model gets a state or a step.

    Source: Bal and Sengupta 2025 (arXiv 2406.02923), the P-SpikeSSM neuron.

    >>> neuron = ProbabilisticSSM(4)
    >>> spikes, state = neuron(torch.rand(2, 100, 4).round())
    >>> last, state = neuron.step(torch.ones(2, 4), state)
    >>> last.shape, state.sampler.t
    (torch.Size([2, 4]), tensor([101, 101]))
    """

    def __init__(
        self,
        features: int,
        *,
        ssm: Callable[[int], StateSpace] = DPLR,
        activation: Literal["gelu", "none"] = "none",
        skip: bool = False,
        dropout: float = 0.0,
        evaluation: Evaluation = "sample",
        votes: int = 8,
    ) -> None:
        super().__init__(features, evaluation=evaluation, votes=votes)
        if activation not in ("gelu", "none"):
            raise ValueError(f"activation must be 'gelu' or 'none', got {activation!r}")
        self.activation = activation
        self.ssm = make_part("ssm", ssm, features, StateSpace)
        self.skip = nn.Parameter(torch.randn(features)) if skip else None
        self.gain = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.dropout = Dropout(dropout)

    def extra_repr(self) -> str:
        own = told(activation=self.activation, skip=self.skip is not None)
        return f"{super().extra_repr()}, {own}"

    def neuron_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the linear model, see :meth:`StateSpace.neuron_parameters`."""
        return self.ssm.neuron_parameters()

    def operations(self) -> Operations:
        """The linear model, the direct path and the activation if there are any, gain and bias,
        the draw."""
        one = Operations(multiplications=1, additions=1)
        direct = 1 if self.skip is not None else 0
        curved = Operations(functions=1 if self.activation == "gelu" else 0)
        return self.ssm.operations() + direct * one + curved + one + self.drawing()

    def forward(
        self,
        x: Tensor,
        state: ProbabilisticSSMState | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | Tensor | None = None,
    ) -> tuple[Tensor, ProbabilisticSSMState | None]:
        self.check_width(x)
        if not (isinstance(state, ProbabilisticSSMState) and state.ssm is None):
            # A block gives those that read the future their keys, and no past.
            self.require_state(state, ProbabilisticSSMState)
        before, stream = (None, None) if state is None else state
        y, after = self.ssm(x, before, lengths, self.skip)
        y = self.dropout(F.gelu(y) if self.activation == "gelu" else y)
        spikes, stream = self.draw(y, stream, lengths, generator, (self.gain, self.bias))
        # Gain and bias are held in at least float32, which widens half precision.
        return spikes.to(x.dtype), ProbabilisticSSMState(after, stream) if self.causal else None

    def step(
        self,
        x_t: Tensor,
        state: ProbabilisticSSMState | None = None,
        generator: torch.Generator | Tensor | None = None,
    ) -> tuple[Tensor, ProbabilisticSSMState]:
        self.require_causal("step")
        out, new = self(x_t.unsqueeze(1), state, None, generator)
        return out.squeeze(1), new
