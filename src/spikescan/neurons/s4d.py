"""The diagonal state-space layer."""

from __future__ import annotations

from typing import Literal

import torch

from spikescan.neurons.operations import Operations
from spikescan.neurons.ssm import StateSpace
from spikescan.ops.ssm import Diagonal, diagonal, legs_modes, linear_modes
from spikescan.ops.ssm.system import METHODS, Method


class S4D(StateSpace):
    r"""Linear state-space models with a diagonal state matrix.

    .. math::
        h_t = \bar a \odot h_{t-1} + \bar b x_t, \qquad
        y_t = 2 \operatorname{Re} \sum_n c_n h_{t,n}

    with :math:`\bar a, \bar b` from :math:`\lambda, b` and Δ by ``method``; each of the N / 2
    modes stands for itself and its conjugate.

    Args:
        features: number of channels D.
        states: number of real states N of a channel, even.
        init: eigenvalues at the start. "legs" are those of the normal part of HiPPO-LegS, "linear"
            are :math:`-1/2 + i \pi n`.
        method: rule of discretisation.
        n_ssm: number of different state matrices, see :class:`StateSpace`.
        dt_min: smallest time step at the start; log-uniform up to ``dt_max``.
        dt_max: largest time step at the start.
        two_sided: add a kernel backwards in time; no states and steps then.

    Raises:
        ValueError: an argument is out of range, or an input has another number of channels.

    Source: Gu et al. 2022 (arXiv 2206.11893), S4D-LegS and S4D-Lin. The input weights start at one
    and are trained.

    >>> layer = S4D(4)
    >>> y, state = layer(torch.randn(2, 100, 4))
    >>> y_t, state = layer.step(torch.randn(2, 4), state)
    >>> state.h.shape
    torch.Size([2, 4, 16])
    """

    def __init__(
        self,
        features: int,
        *,
        states: int = 16,
        init: Literal["legs", "linear"] = "legs",
        method: Method = "bilinear",
        n_ssm: int = 1,
        dt_min: float = 1e-3,
        dt_max: float = 0.1,
        two_sided: bool = False,
    ) -> None:
        super().__init__(
            features,
            states=states,
            n_ssm=n_ssm,
            dt_min=dt_min,
            dt_max=dt_max,
            two_sided=two_sided,
        )
        if init not in ("legs", "linear"):
            raise ValueError(f"init must be 'legs' or 'linear', got {init!r}")
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}")
        self.method: Method = method
        lam = legs_modes(states).lam if init == "legs" else linear_modes(states)
        self.start(lam, torch.ones_like(lam))

    def system(self) -> Diagonal:
        return diagonal(
            self.each(self.eigenvalues),
            self.each(self.complex(self.b)),
            self.complex(self.c),
            self.delta,
            method=self.method,
            c_back=None if self.c_back is None else self.complex(self.c_back),
        )

    def operations(self) -> Operations:
        """A complex product and a weighted input for each mode, and the sum of N lanes."""
        sides = 1 if self.causal else 2
        one = Operations(multiplications=4 * self.states, additions=3 * self.states - 1)
        return sides * one + (sides - 1) * Operations(additions=1)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, method={self.method!r}"
