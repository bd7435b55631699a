"""The parallel resonate-and-fire neuron."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spikescan import ops
from spikescan.neurons.base import Neuron
from spikescan.neurons.dynamics import each, told
from spikescan.neurons.operations import Operations
from spikescan.ops.resonate.api import PRFState, ResonateOutput, step
from spikescan.ops.surrogate import ATan, Surrogate


class PRF(Neuron):
    r"""Parallel resonate-and-fire neurons.

    .. math::
        z_t = e^{\Delta(-1/\tau + i\theta)} z_{t-1} + \Delta x_t, \qquad
        s_t = [\operatorname{Re} z_t \ge V]

    Each neuron has its own time step Δ, log-uniform between ``dt_min`` and ``dt_max``, and its
    own frequency θ, uniform between 0 and ``theta_max``; both are trained as logarithms.

    Args:
        features: number of neurons D.
        theta_max: largest angular frequency at the start, radians per unit of time. The range
            decides what a network can learn: per step a neuron turns by Δθ.
        dt_min: smallest time step Δ at the start.
        dt_max: largest time step Δ at the start.
        tau: time constant in units of time, so that a memory lasts τ/Δ steps; a number or one for
            each neuron. See :func:`spikescan.ops.resonate` for what float32 resolves.
        threshold: firing threshold V; a number, one for each neuron, or a parameter to train.
        learnable_tau: train the time constant of each neuron as well.
        learnable_threshold: train the threshold of each neuron.
        surrogate: derivative of the spike.

    Raises:
        ValueError: an argument is out of range, or an input has another number of channels.

    Source: Huang et al. 2024 (arXiv 2410.03530), section 4.2, Algorithm 3. With their start values,
    :meth:`paper`, no neuron fires on normal input; the defaults are chosen by what fires and learns
    (``benchmarks/starts.py``). With them a neuron turns by half a cycle a step at most.

    >>> neuron = PRF(4)
    >>> spikes, state = neuron(torch.rand(2, 100, 4))
    >>> last, state = neuron.step(torch.rand(2, 4), state)
    >>> last.shape
    torch.Size([2, 4])
    """

    log_tau: Tensor
    threshold: float | Tensor

    def __init__(
        self,
        features: int,
        *,
        theta_max: float = math.pi,
        dt_min: float = 0.1,
        dt_max: float = 1.0,
        tau: float | Tensor = 30.0,
        threshold: float | Tensor = 1.0,
        learnable_tau: bool = False,
        learnable_threshold: bool = False,
        surrogate: Surrogate = ATan(),
    ) -> None:
        super().__init__(features)
        if not 0 < dt_min <= dt_max < math.inf:
            raise ValueError(
                "dt_min and dt_max must satisfy 0 < dt_min <= dt_max < inf, got "
                f"{dt_min} and {dt_max}"
            )
        if not 0 < theta_max < math.inf:
            raise ValueError(f"theta_max must be positive and finite, got {theta_max}")
        if learnable_tau:
            times = each("tau", tau, features, "positive and finite", lambda t: 0 < t < math.inf)
            self.log_tau = nn.Parameter(torch.log(times).float())
        else:
            times = each("tau", tau, features, "positive", lambda t: t > 0)
            self.register_buffer("log_tau", torch.log(times))
        self.hold("threshold", threshold, learnable=learnable_threshold)
        self.surrogate = surrogate
        uniform = torch.rand(features)
        self.log_delta = nn.Parameter(
            math.log(dt_min) + uniform * (math.log(dt_max) - math.log(dt_min))
        )
        # 1 - U lies in (0, 1], so that the logarithm is finite.
        self.log_theta = nn.Parameter(math.log(theta_max) + torch.log(1 - torch.rand(features)))

    @classmethod
    def paper(cls, features: int) -> PRF:
        """The neurons as the paper starts them, for inputs much larger than one."""
        return cls(features, theta_max=2 * math.pi, dt_min=1e-3, dt_max=0.1, tau=2.0)

    @property
    def delta(self) -> Tensor:
        """Time step of each neuron (D,)."""
        return self.log_delta.exp()

    @property
    def theta(self) -> Tensor:
        """Angular frequency of each neuron (D,), radians per unit of time."""
        return self.log_theta.exp()

    @property
    def tau(self) -> Tensor:
        """Time constant of each neuron (D,), in units of time; float64 where it is fixed."""
        return self.log_tau.exp()

    def trace(
        self,
        x: Tensor,
        state: PRFState | None = None,
        lengths: Tensor | None = None,
        *,
        return_membrane: bool = True,
    ) -> ResonateOutput:
        """Run sequences as :meth:`forward` does and return the membrane (B, T, D) as well."""
        self.check_width(x)
        self.require_state(state, PRFState)
        return ops.resonate(
            x,
            self.delta,
            self.theta,
            state,
            tau=self.tau,
            threshold=self.threshold,
            surrogate=self.surrogate,
            return_membrane=return_membrane,
            lengths=lengths,
        )

    def forward(
        self, x: Tensor, state: PRFState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, PRFState]:
        if lengths is None and (done := self._step(x, state)):
            return done
        out = self.trace(x, state, lengths, return_membrane=False)
        return out.spikes, out.state

    def _step(self, x: Tensor, state: PRFState | None) -> tuple[Tensor, PRFState] | None:
        # By the type itself: a class made from this one may trace otherwise.
        if type(self) is not PRF:
            return None
        return step(x, self.log_delta, self.log_theta, self.log_tau, state, self.threshold)

    def dynamics(self) -> dict[str, Tensor]:
        return {
            "time constant": self.tau / self.delta,
            "frequency": self.delta * self.theta / (2 * math.pi),
        }

    def operations(self) -> Operations:
        """The rotation of z. With z / Δ as the state and V / Δ as the threshold, the factor Δ of
        the input costs nothing."""
        return Operations(multiplications=4, additions=3, comparisons=1)

    def extra_repr(self) -> str:
        return told(
            self.features,
            tau=self.tau,
            dt=self.delta,
            theta=self.theta,
            threshold=self.threshold,
            learnable_tau=isinstance(self.log_tau, nn.Parameter),
            learnable_threshold=isinstance(self.threshold, nn.Parameter),
            surrogate=self.surrogate,
        )
