"""Leaky integrate-and-fire with exact reset, trained in parallel over time."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from spikescan import ops
from spikescan.neurons.base import Neuron
from spikescan.ops.lif.api import RESETS, LIFOutput, Reset
from spikescan.ops.surrogate import ATan, Surrogate


class LIFState(NamedTuple):
    """State of :class:`LIF`."""

    v: Tensor
    """(B, D), membrane after the last step and its reset; at least float32."""


class LIF(Neuron):
    r"""Leaky integrate-and-fire neurons with exact reset.

    .. math::
        u_t = \beta v_{t-1} + x_t, \qquad s_t = [u_t \ge V], \qquad
        v_t = u_t - V s_t \text{ (soft)}, \quad u_t (1 - s_t) \text{ (hard)}, \quad
        u_t \text{ (none)}, \qquad \beta = 1 - 1/\tau

    Args:
        features: number of neurons D.
        tau: membrane time constant in steps, at least 1; a number or one for each neuron.
        threshold: firing threshold V.
        reset: what a spike does to the membrane.
        detach_reset: cut the gradient through the reset, as the PRF paper trains.
        learnable: train the decay of each neuron, as :math:`\beta = \sigma(w)`; needs tau > 1.
        decay_input: scale the input by :math:`1 - \beta`.
        surrogate: derivative of the spike.

    Raises:
        ValueError: an argument is out of range, or an input has another number of channels.

    Source: Huang et al. 2024 (arXiv 2410.03530), section 4.1, Algorithms 1 and 2.

    >>> neuron = LIF(4, tau=2.0)
    >>> spikes, state = neuron(torch.rand(2, 100, 4))
    >>> spikes.shape, state.v.shape
    (torch.Size([2, 100, 4]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        features: int,
        *,
        tau: float | Tensor = 2.0,
        threshold: float = 1.0,
        reset: Reset = "soft",
        detach_reset: bool = True,
        learnable: bool = False,
        decay_input: bool = False,
        surrogate: Surrogate = ATan(),
    ) -> None:
        super().__init__(features)
        if reset not in RESETS:
            raise ValueError(f"reset must be one of {RESETS}, got {reset!r}")
        times = torch.as_tensor(tau, dtype=torch.float64).expand(features)
        if not bool((times >= 1).all()) or (learnable and bool((times == 1).any())):
            raise ValueError(f"tau must be {'above' if learnable else 'at least'} 1, got {tau}")
        self.threshold = threshold
        self.reset: Reset = reset
        self.detach_reset = detach_reset
        self.learnable = learnable
        self.decay_input = decay_input
        self.surrogate = surrogate
        if learnable:
            # sigmoid(log(tau - 1)) = 1 - 1 / tau
            self.logit = nn.Parameter(torch.log(times - 1).float())
        else:
            self.register_buffer("_beta", (1 - 1 / times).float())

    @property
    def beta(self) -> Tensor:
        """Decay per step (D,)."""
        return torch.sigmoid(self.logit) if self.learnable else self.get_buffer("_beta")

    @property
    def tau(self) -> Tensor:
        """Membrane time constants in steps (D,)."""
        return 1 / (1 - self.beta)

    def trace(
        self,
        x: Tensor,
        state: LIFState | None = None,
        lengths: Tensor | None = None,
        *,
        return_membrane: bool = True,
    ) -> LIFOutput:
        """Run sequences as :meth:`forward` does and return the membrane (B, T, D) as well."""
        self.check_width(x)
        beta = self.beta
        out = ops.lif(
            x * (1 - beta) if self.decay_input else x,
            beta,
            None if state is None else state.v,
            threshold=self.threshold,
            reset=self.reset,
            detach_reset=self.detach_reset,
            surrogate=self.surrogate,
            return_membrane=return_membrane,
            lengths=lengths,
        )
        # Scaling half-precision input by a float32 decay widened it.
        return out._replace(spikes=out.spikes.to(x.dtype))

    def forward(
        self, x: Tensor, state: LIFState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, LIFState]:
        out = self.trace(x, state, lengths, return_membrane=False)
        return out.spikes, LIFState(out.v)

    def dynamics(self) -> dict[str, Tensor]:
        return {"time constant": -1 / torch.log(self.beta)}

    def extra_repr(self) -> str:
        return f"{self.features}, reset={self.reset!r}, threshold={self.threshold}"
