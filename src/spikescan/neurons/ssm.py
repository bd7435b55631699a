"""What linear state-space layers share: parameters, the contract, the optimizer's view."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spikescan.neurons.base import Recurrent
from spikescan.neurons.dynamics import Dynamics, told
from spikescan.neurons.operations import Operations
from spikescan.ops._core import validate
from spikescan.ops.ssm import Diagonal, LowRank, ssm
from spikescan.ops.ssm.hippo import check_states


class SSMState(NamedTuple):
    """State of a :class:`StateSpace` layer."""

    h: Tensor
    """(B, D, N), N real lanes of N / 2 complex modes (real, imaginary, ...); at least float32."""


class StateSpace(Dynamics, Recurrent):
    r"""D linear state-space models with N states each, one for each channel of the input.

    .. math:: h' = A h + B x, \qquad y = C h

    in continuous time, discretised with a trained time step Δ for each channel. This is the part
    without spikes of a spiking state-space model: it keeps the contract of neurons, and its output
    is real.

    A and B belong to one of ``n_ssm`` models and are shared by the D / n_ssm channels next to each
    other; C and Δ are each channel's own. Decay rates are trained as logarithms, so that they stay
    positive and the system stable; Δ is trained through a softplus.

    Args:
        features: number of channels D.
        states: number of real states N of a channel, even: N / 2 complex modes, of each conjugate
            pair one.
        n_ssm: number of different A and B; D for one each.
        dt_min: smallest time step at the start; log-uniform up to ``dt_max``.
        dt_max: largest time step at the start.
        two_sided: add a kernel backwards in time with output weights of its own. Such a layer is
            not causal, and refuses states and steps.
    """

    def __init__(
        self,
        features: int,
        *,
        states: int,
        n_ssm: int,
        dt_min: float,
        dt_max: float,
        two_sided: bool,
    ) -> None:
        super().__init__()
        if features < 1:
            raise ValueError(f"features must be at least 1, got {features}")
        check_states(states)
        if n_ssm < 1 or features % n_ssm:
            raise ValueError(f"n_ssm must divide features = {features}, got {n_ssm}")
        if not 0 < dt_min <= dt_max < math.inf:
            raise ValueError(
                "dt_min and dt_max must satisfy 0 < dt_min <= dt_max < inf, got "
                f"{dt_min} and {dt_max}"
            )
        self.features, self.states, self.n_ssm = features, states, n_ssm
        log_dt = math.log(dt_min) + torch.rand(features) * (math.log(dt_max) - math.log(dt_min))
        # softplus(log(exp(dt) - 1)) = dt
        self.raw_delta = nn.Parameter(torch.log(torch.expm1(log_dt.exp())))
        self.c = nn.Parameter(_complex_normal(features, states // 2))
        self.c_back = nn.Parameter(_complex_normal(features, states // 2)) if two_sided else None

    @property
    def causal(self) -> bool:
        return self.c_back is None

    def start(self, lam: Tensor, b: Tensor) -> None:
        """Set eigenvalues and input weights, (N / 2,) complex, of all models to the same values."""
        self.log_decay = nn.Parameter(torch.log(-lam.real).float().repeat(self.n_ssm, 1))
        self.frequency = nn.Parameter(lam.imag.float().repeat(self.n_ssm, 1))
        self.b = nn.Parameter(self.pairs(b))

    def pairs(self, z: Tensor) -> Tensor:
        """Complex (N / 2,) as start values (n_ssm, N / 2, 2) of a real parameter."""
        return torch.view_as_real(z.resolve_conj()).float().repeat(self.n_ssm, 1, 1)

    @property
    def delta(self) -> Tensor:
        """Time step of each channel (D,)."""
        return nn.functional.softplus(self.raw_delta.double())

    @property
    def eigenvalues(self) -> Tensor:
        """Eigenvalues of each model (n_ssm, N / 2), complex128, per unit of time."""
        return torch.complex(-self.log_decay.double().exp(), self.frequency.double())

    def each(self, z: Tensor) -> Tensor:
        """A value of each model (n_ssm, N / 2, ...) as one of each channel (D, N / 2, ...)."""
        return z.repeat_interleave(self.features // self.n_ssm, 0)

    def complex(self, pairs: Tensor) -> Tensor:
        """A parameter of real pairs (..., 2) as complex128 (...)."""
        return torch.view_as_complex(pairs.double())

    @abstractmethod
    def system(self) -> Diagonal | LowRank:
        """The discretised system of the present parameters."""

    @abstractmethod
    def operations(self) -> Operations:
        """What one channel computes in one step of inference, with coefficients made beforehand."""

    def neuron_parameters(self) -> Iterator[nn.Parameter]:
        """What trains at the neurons' rate, without decay: A, B and Δ. C trains as a weight."""
        weights = {id(self.c), id(self.c_back)}
        return (p for p in self.parameters(recurse=False) if id(p) not in weights)

    def forward(
        self,
        x: Tensor,
        state: SSMState | None = None,
        lengths: Tensor | None = None,
        skip: Tensor | None = None,
    ) -> tuple[Tensor, SSMState | None]:
        """Outputs (B, T, D) of x (B, T, D), plus ``skip`` (D,) times x; and the new state."""
        validate.tensor("x", x)
        if x.ndim != 3 or x.shape[2] != self.features:
            raise ValueError(
                f"x must have shape (B, T, {self.features}) for {type(self).__name__}"
                f"({self.features}), got {tuple(x.shape)}"
            )
        self.require_state(state, SSMState)
        if x.shape[1] == 1 and lengths is None and self.causal:
            # One step needs no matrices of many.
            y, state = self.step(x.squeeze(1), state, skip)
            return y.unsqueeze(1), state
        h0 = None if state is None else state.h
        out = ssm(x, self.system(), h0, lengths=lengths, skip=skip)
        return out.y, None if out.h is None else SSMState(out.h)

    def step(
        self, x_t: Tensor, state: SSMState | None = None, skip: Tensor | None = None
    ) -> tuple[Tensor, SSMState]:
        """Run one step x_t (B, D) from ``state``; return outputs (B, D) and the new state."""
        self.require_causal("step")
        self.require_state(state, SSMState)
        if x_t.ndim != 2 or x_t.shape[1] != self.features:
            raise ValueError(
                f"x_t must have shape (B, {self.features}) for {type(self).__name__}"
                f"({self.features}), got {tuple(x_t.shape)}"
            )
        dtype = validate.accumulator(x_t.dtype)
        shape = (x_t.shape[0], self.features, self.states)
        if state is not None and state.h.shape != shape:
            raise ValueError(f"state.h must have shape {shape}, got {tuple(state.h.shape)}")
        h = x_t.new_zeros(shape, dtype=dtype) if state is None else state.h.to(dtype)
        system = self.system()
        x = x_t.to(dtype)
        h = system.advance(h, x)
        y = system.output(h)
        return (y if skip is None else y + skip * x).to(x_t.dtype), SSMState(h)

    def extra_repr(self) -> str:
        return told(
            self.features,
            states=self.states,
            n_ssm=self.n_ssm,
            dt=self.delta,
            decay=self.log_decay.exp(),
            frequency=self.frequency,
            two_sided=not self.causal,
        )


def _complex_normal(channels: int, modes: int) -> Tensor:
    """Complex normal numbers of variance 1, (channels, modes, 2)."""
    return torch.randn(channels, modes, 2) * math.sqrt(0.5)
