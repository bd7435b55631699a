"""Leaky integrate-and-fire with an adaptive threshold, as a plain loop over time.

This file is the worked example of a new neuron: a state type, a constructor with keywords, the loop
in ordinary torch, autograd for its gradients, and one operator of it for graphs of any length. It
keeps the contract of all neurons and drops into every block; it is as slow as such loops are. A
kernel would go into ``spikescan.ops``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spikescan.neurons.base import Neuron
from spikescan.neurons.dynamics import told
from spikescan.neurons.operations import Operations
from spikescan.ops._core import validate
from spikescan.ops._core.opaque import opaque
from spikescan.ops._core.registration import recording
from spikescan.ops.surrogate import ATan, Surrogate, kernel_code, of_kernel_code


class ALIFState(NamedTuple):
    """State of :class:`ALIF`."""

    v: Tensor
    """(B, D), membrane after the last step and its reset; at least float32."""
    a: Tensor
    """(B, D), decayed number of past spikes, the last step's among them; at least float32."""


class ALIF(Neuron):
    r"""Leaky integrate-and-fire neurons that tire: each spike raises the threshold for a while.

    .. math::
        u_t = \beta v_{t-1} + x_t, \qquad \theta_t = V + \beta_a a_t, \qquad
        s_t = [u_t \ge \theta_t], \qquad v_t = u_t - \theta_t s_t, \qquad
        a_{t+1} = \rho a_t + s_t

    with :math:`\beta = 1 - 1/\tau` and :math:`\rho = \exp(-1/\tau_a)`; at rest v and a are zero.
    The slow variable a gives the neuron a memory of about :math:`\tau_a` steps. Gradients go
    through a and θ in full, also where ``detach_reset`` cuts that of the reset.

    Args:
        features: number of neurons D.
        tau: membrane time constant in steps, at least 1.
        tau_adaptation: time constant of the threshold in steps, positive.
        strength: what a spike adds to the threshold, β_a, in units of the membrane; a number or one
            for each neuron.
        threshold: threshold V at rest; a number, one for each neuron, or a parameter to train.
        learnable_strength: train the strength of each neuron.
        learnable_threshold: train the threshold of each neuron.
        detach_reset: cut the gradient through the subtraction at a spike.
        surrogate: derivative of the spike.

    Raises:
        ValueError: an argument is out of range, or an input or a state has another shape.
        TypeError: the dtype of an input is not supported.

    Source: Bellec et al. 2018 (arXiv 1803.09574), their LSNN. We depart from it in three places:
    the input is not scaled by 1 - β, a spike adds β_a to the threshold where theirs adds
    (1 - ρ) β, and there is neither a refractory period nor their damped pseudo-derivative.

    >>> neuron = ALIF(1, strength=1.0)
    >>> spikes, state = neuron(torch.ones(1, 8, 1))
    >>> spikes.flatten()
    tensor([1., 0., 0., 0., 0., 0., 1., 0.])
    """

    strength: float | Tensor
    threshold: float | Tensor

    def __init__(
        self,
        features: int,
        *,
        tau: float = 2.0,
        tau_adaptation: float = 100.0,
        strength: float | Tensor = 0.1,
        threshold: float | Tensor = 1.0,
        learnable_strength: bool = False,
        learnable_threshold: bool = False,
        detach_reset: bool = True,
        surrogate: Surrogate = ATan(),
    ) -> None:
        super().__init__(features)
        if not tau >= 1:
            raise ValueError(f"tau must be at least 1, got {tau}")
        if not tau_adaptation > 0:
            raise ValueError(f"tau_adaptation must be positive, got {tau_adaptation}")
        self.tau = tau
        self.beta = 1 - 1 / tau
        self.tau_adaptation = tau_adaptation
        self.rho = math.exp(-1 / tau_adaptation)
        self.hold("threshold", threshold, learnable=learnable_threshold)
        self.detach_reset = detach_reset
        self.surrogate = surrogate
        self.hold("strength", strength, learnable=learnable_strength)

    def forward(
        self, x: Tensor, state: ALIFState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, ALIFState]:
        self.check_width(x)
        self.require_state(state, ALIFState)
        validate.sequence("x", x)
        dtype = validate.accumulator(x.dtype)
        rows = (x.shape[0], self.features)
        v, a = (x.new_zeros(rows, dtype=dtype),) * 2 if state is None else state
        if v.shape != rows or a.shape != rows:
            raise ValueError(
                f"state must have v and a of shape {rows}, got {tuple(v.shape)} and "
                f"{tuple(a.shape)}"
            )
        valid = validate.valid_lengths(lengths, x)
        code = kernel_code(self.surrogate)
        given = _Arguments(
            x.to(dtype), v.to(dtype), a.to(dtype), valid,
            validate.per_channel("threshold", self.threshold, x, dtype),
            validate.per_channel("strength", self.strength, x, dtype),
            self.beta, self.rho, self.detach_reset, *(code or (0, 0.0)),
        )  # fmt: skip
        # No operator knows a surrogate of your own: its compiled graph is that of one length.
        recorded = recording() and code is not None
        spikes, v, a = _recorded(given) if recorded else _loop(given, self.surrogate)
        return spikes.to(x.dtype), ALIFState(v, a)

    def dynamics(self) -> dict[str, Tensor]:
        return {"time constant": torch.full((self.features,), self.tau)}

    def operations(self) -> Operations:
        """Leak, reset, threshold and its decay."""
        return Operations(multiplications=3, additions=4, comparisons=1)

    def extra_repr(self) -> str:
        return told(
            self.features,
            tau=self.tau,
            tau_adaptation=self.tau_adaptation,
            strength=self.strength,
            threshold=self.threshold,
            learnable_strength=isinstance(self.strength, nn.Parameter),
            learnable_threshold=isinstance(self.threshold, nn.Parameter),
            detach_reset=self.detach_reset,
            surrogate=self.surrogate,
        )


class _Arguments(NamedTuple):
    """Arguments of the loop, all tensors in the dtype of the state."""

    x: Tensor
    v: Tensor
    a: Tensor
    lengths: Tensor | None
    threshold: Tensor
    strength: Tensor
    beta: float
    rho: float
    detach_reset: bool
    surrogate: int
    surrogate_parameter: float


def _loop(given: _Arguments, surrogate: Surrogate) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes (B, T, D), and v and a (B, D) after the last step of each row."""
    x, v, a, inside = given.x, given.v, given.a, None
    if given.lengths is not None:
        inside = torch.arange(x.shape[1], device=x.device) < given.lengths[:, None]
        inside = inside.unsqueeze(-1)
        # Padding may hold NaN, and a zero gradient times NaN is NaN.
        x = torch.where(inside, x, 0)
    spikes: list[Tensor] = []
    for t, x_t in enumerate(x.unbind(1)):
        u = given.beta * v + x_t
        theta = given.threshold + given.strength * a
        s = surrogate(u - theta)
        drop = theta * s
        after_v = u - (drop.detach() if given.detach_reset else drop)
        after_a = given.rho * a + s
        if inside is None:
            v, a = after_v, after_a
        else:
            now = inside[:, t]
            # Beyond its length a row stays where it is, and is silent.
            v, a = torch.where(now, after_v, v), torch.where(now, after_a, a)
            s = torch.where(now, s, 0)
        spikes.append(s)
    if not spikes:
        return x.clone(), v.clone(), a.clone()
    return torch.stack(spikes, 1), v, a


def _run(given: _Arguments) -> tuple[Tensor, Tensor, Tensor]:
    return _loop(given, of_kernel_code(given.surrogate, given.surrogate_parameter))


def _fake(given: _Arguments) -> tuple[Tensor, ...]:
    return tuple(
        torch.empty_like(t, memory_format=torch.contiguous_format)
        for t in (given.x, given.v, given.a)
    )


# A compiler would unroll the loop.
_recorded = opaque("alif", _Arguments, results=3, function=_run, fake=_fake)
