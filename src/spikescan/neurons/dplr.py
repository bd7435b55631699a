"""The diagonal-plus-low-rank state-space layer of S4."""

from __future__ import annotations

from torch import nn

from spikescan.neurons.operations import Operations
from spikescan.neurons.ssm import StateSpace
from spikescan.ops.ssm import LowRank, legs_modes, low_rank


class DPLR(StateSpace):
    r"""Linear state-space models with a diagonal minus a rank-1 state matrix, from HiPPO-LegS.

    .. math::
        A = \Lambda - P P^*, \qquad
        h_t = (I - \tfrac{\Delta}{2} A)^{-1}
              \left((I + \tfrac{\Delta}{2} A) h_{t-1} + \Delta B x_t\right), \qquad
        y_t = 2 \operatorname{Re} \sum_n c_n h_{t,n}

    The inverse is a diagonal and a rank-1 term (Woodbury's identity), so that a step costs O(N) for
    each channel. A is dissipative for all values of its parameters, hence the layer is stable.

    Args:
        features: number of channels D.
        states: number of real states N of a channel, even.
        n_ssm: number of different Λ, P and B, see :class:`StateSpace`.
        dt_min: smallest time step at the start; log-uniform up to ``dt_max``.
        dt_max: largest time step at the start.
        two_sided: add a kernel backwards in time; no states and steps then.

    Raises:
        ValueError: an argument is out of range, or an input has another number of channels.

    Source: Gu et al. 2022 (arXiv 2111.00396), section 3 and appendix C. They get the kernel from
    its generating function at the roots of unity; here it comes from powers of the small real state
    matrix in float64, which is stable because the discretised matrix is a contraction, and gives
    the states too.

    >>> import torch
    >>> layer = DPLR(4, states=32)
    >>> y, state = layer(torch.randn(2, 100, 4))
    >>> y.shape, state.h.shape
    (torch.Size([2, 100, 4]), torch.Size([2, 4, 32]))
    """

    def __init__(
        self,
        features: int,
        *,
        states: int = 16,
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
        modes = legs_modes(states)
        self.start(modes.lam, modes.b)
        self.p = nn.Parameter(self.pairs(modes.p))

    def system(self) -> LowRank:
        return low_rank(
            self.each(self.eigenvalues),
            self.each(self.complex(self.p)),
            self.each(self.complex(self.b)),
            self.complex(self.c),
            self.delta,
            c_back=None if self.c_back is None else self.complex(self.c_back),
        )

    def operations(self) -> Operations:
        """One solve with a diagonal and a rank-1 term, and the sum of N lanes."""
        sides = 1 if self.causal else 2
        one = Operations(multiplications=6 * self.states + 1, additions=7 * self.states - 2)
        return sides * one + (sides - 1) * Operations(additions=1)
