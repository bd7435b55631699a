"""Leaky integrate-and-fire with exact reset, trained in parallel over time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spikescan import ops
from spikescan.neurons.base import Neuron
from spikescan.neurons.dynamics import each, told
from spikescan.neurons.operations import Operations
from spikescan.ops._core import validate
from spikescan.ops._core.registration import differentiated, has_tangent
from spikescan.ops.lif.api import RESETS, Leak, LIFOutput, LIFState, Reset, step
from spikescan.ops.surrogate import ATan, Surrogate


class LIF(Neuron):
    r"""Leaky integrate-and-fire neurons with exact reset.

    .. math::
        u_t = \beta v_{t-1} + x_t, \qquad s_t = [u_t \ge V], \qquad
        v_t = u_t - V s_t \text{ (soft)}, \quad u_t (1 - s_t) + V_\text{reset} s_t
        \text{ (hard)}, \quad u_t \text{ (none)}, \qquad \beta = 1 - 1/\tau

    Args:
        features: number of neurons D.
        tau: membrane time constant in steps, at least 1; a number or one for each neuron. It is
            held in float64, but the scan of a float32 input resolves decays to 6e-8, and so tau to
            a share of tau * 6e-8: 0.6 % at 1e5, 6 % at 1e6; beyond 3e7 it is infinite.
        threshold: firing threshold V; a number, one for each neuron, or a parameter to train.
        reset: what a spike does to the membrane.
        v_reset: membrane after a hard reset; as the threshold.
        detach_reset: cut the gradient through the reset, as the PRF paper trains.
        learnable_tau: train the decay of each neuron, as :math:`\beta = \sigma(w)`; needs a finite
            tau > 1.
        learnable_threshold: train the threshold of each neuron.
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

    threshold: float | Tensor
    v_reset: float | Tensor
    _leak: Tensor

    def __init__(
        self,
        features: int,
        *,
        tau: float | Tensor = 2.0,
        threshold: float | Tensor = 1.0,
        reset: Reset = "soft",
        v_reset: float | Tensor = 0.0,
        detach_reset: bool = True,
        learnable_tau: bool = False,
        learnable_threshold: bool = False,
        decay_input: bool = False,
        surrogate: Surrogate = ATan(),
    ) -> None:
        super().__init__(features)
        if reset not in RESETS:
            raise ValueError(f"reset must be one of {RESETS}, got {reset!r}")
        if learnable_tau:
            times = each("tau", tau, features, "above 1 and finite", lambda t: 1 < t < math.inf)
            # sigmoid(log(tau - 1)) = 1 - 1 / tau
            self.logit = nn.Parameter(torch.log(times - 1).float())
        else:
            times = each("tau", tau, features, "at least 1", lambda t: t >= 1)
            # Not the decay: near one it has no digits left for its distance from one.
            self.register_buffer("_leak", 1 / times)
        self.hold("threshold", threshold, learnable=learnable_threshold)
        self.hold("v_reset", v_reset)
        self.reset: Reset = reset
        self.detach_reset = detach_reset
        self.learnable_tau = learnable_tau
        self.decay_input = decay_input
        self.surrogate = surrogate

    @property
    def beta(self) -> Tensor:
        """Decay per step (D,), 1 - 1/tau; float64 where tau is fixed."""
        return torch.sigmoid(self.logit) if self.learnable_tau else torch.rsub(self._leak, 1)

    @property
    def leak(self) -> Tensor:
        """What a step forgets (D,), 1/tau, to full relative precision."""
        return torch.sigmoid(-self.logit) if self.learnable_tau else self._leak

    @property
    def tau(self) -> Tensor:
        """Membrane time constants in steps (D,)."""
        return 1 / self.leak

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
        self.require_state(state, LIFState)
        scaled = x
        if self.decay_input:
            valid = validate.valid_lengths(lengths, x)
            if valid is not None:
                # Padding may hold NaN, and the zero gradient of a leak times NaN is NaN.
                inside = torch.arange(x.shape[1], device=x.device) < valid[:, None]
                scaled = torch.where(inside.unsqueeze(-1), x, 0)
            scaled = scaled * self.leak.to(validate.accumulator(x.dtype))
        out = ops.lif(
            scaled,
            self._decay(),
            state,
            threshold=self.threshold,
            reset=self.reset,
            v_reset=self.v_reset,
            detach_reset=self.detach_reset,
            surrogate=self.surrogate,
            return_membrane=return_membrane,
            lengths=lengths,
        )
        if out.spikes.dtype is x.dtype:
            return out
        # Scaling half-precision input by a float32 leak widened it.
        return out._replace(spikes=out.spikes.to(x.dtype))

    def _decay(self) -> Tensor | Leak:
        """The decay as it costs least: as the leak, where nothing but its numbers matters.

        By the type itself: a class made from this one may decay otherwise.
        """
        if type(self) is not LIF or self.learnable_tau:
            return self.beta
        leak = self._leak
        return self.beta if differentiated((leak,)) or has_tangent((leak,)) else Leak(leak)

    def forward(
        self, x: Tensor, state: LIFState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, LIFState]:
        if lengths is None and (done := self._step(x, state)):
            return done
        out = self.trace(x, state, lengths, return_membrane=False)
        return out.spikes, out.state

    def _step(self, x: Tensor, state: LIFState | None) -> tuple[Tensor, LIFState] | None:
        # By the type itself: a class made from this one may trace, or decay, otherwise.
        if type(self) is not LIF or self.learnable_tau or self.decay_input:
            return None
        return step(x, self._leak, state, self.threshold, self.reset, self.v_reset)

    def dynamics(self) -> dict[str, Tensor]:
        """tau as it is given: a membrane falls by 1/tau of itself in a step."""
        return {"time constant": self.tau}

    def operations(self) -> Operations:
        """The leak, and the subtraction of a soft reset. A scaled input is the same neuron with
        another threshold, and costs nothing."""
        additions = 2 if self.reset == "soft" else 1
        return Operations(multiplications=1, additions=additions, comparisons=1)

    def extra_repr(self) -> str:
        return told(
            self.features,
            tau=self.tau,
            threshold=self.threshold,
            reset=self.reset,
            v_reset=self.v_reset if self.reset == "hard" else None,
            detach_reset=self.detach_reset,
            learnable_tau=self.learnable_tau,
            learnable_threshold=isinstance(self.threshold, nn.Parameter),
            decay_input=self.decay_input,
            surrogate=self.surrogate,
        )
