"""Start values of state-space models: HiPPO-LegS and its modes."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class LegS(NamedTuple):
    r"""HiPPO-LegS of N states in the basis of its normal part, one of each conjugate pair kept.

    With M = N / 2 columns V of the unitary basis,
    :math:`A = 2 \operatorname{Re}(V \Lambda V^*) - P_0 P_0^\top` where
    :math:`P_0 = 2 \operatorname{Re}(V P)`, and the input vector is
    :math:`2 \operatorname{Re}(V B)`.
    """

    lam: Tensor
    """(M,) complex128, eigenvalues of the normal part with positive imaginary part, ascending."""
    p: Tensor
    """(M,) complex128, the low-rank vector."""
    b: Tensor
    """(M,) complex128, the input vector."""
    v: Tensor
    """(N, M) complex128, orthonormal columns."""


def legs(states: int) -> tuple[Tensor, Tensor]:
    r"""State matrix A (N, N) and input vector B (N,) of HiPPO-LegS, float64.

    .. math::
        A_{nk} = -\begin{cases} \sqrt{(2n+1)(2k+1)} & n > k \\ n + 1 & n = k \\ 0 & n < k
        \end{cases}, \qquad B_n = \sqrt{2n+1}

    Source: Gu et al. 2020 (arXiv 2008.07669), theorem 2 without its 1/t, as S4 uses it.

    >>> legs(2)[0]
    tensor([[-1.0000,  0.0000],
            [-1.7321, -2.0000]], dtype=torch.float64)
    """
    n = torch.arange(states, dtype=torch.float64)
    b = torch.sqrt(2 * n + 1)
    # The outer product has 2n + 1 on its diagonal; n + 1 is due there.
    a = torch.diag(n) - torch.tril(torch.outer(b, b))
    return a + 0.0, b


def legs_modes(states: int) -> LegS:
    r"""HiPPO-LegS as a diagonal minus a rank-1 matrix.

    :math:`A + P_0 P_0^\top` with :math:`P_0 = \sqrt{n + 1/2}` is -1/2 on the diagonal plus an
    antisymmetric matrix, hence normal: a unitary basis makes it diagonal.

    Args:
        states: number of states N, even.

    Raises:
        ValueError: N is odd or below 2.

    Source: Gu et al. 2022 (arXiv 2111.00396), theorem 1 and appendix C.1.
    """
    check_states(states)
    a, b = legs(states)
    p = torch.sqrt(torch.arange(states, dtype=torch.float64) + 0.5)
    normal = a + torch.outer(p, p)
    # The antisymmetric part S has imaginary eigenvalues i w; -i S is Hermitian with eigenvalues w,
    # in ascending order and in pairs w and -w whose vectors are conjugates of each other.
    antisymmetric = (normal - normal.T) / 2
    w, basis = torch.linalg.eigh(-1j * antisymmetric.to(torch.complex128))
    w, basis = w[states // 2 :], basis[:, states // 2 :]
    lam = torch.complex(torch.full_like(w, -0.5), w)
    project = basis.conj().T
    return LegS(lam, project @ p.to(lam.dtype), project @ b.to(lam.dtype), basis)


def linear_modes(states: int) -> Tensor:
    r"""Eigenvalues :math:`-1/2 + i \pi n` of S4D-Lin, (N / 2,) complex128.

    Raises:
        ValueError: N is odd or below 2.

    Source: Gu et al. 2022 (arXiv 2206.11893), equation 9.
    """
    check_states(states)
    w = math.pi * torch.arange(states // 2, dtype=torch.float64)
    return torch.complex(torch.full_like(w, -0.5), w)


def check_states(states: int) -> None:
    if states < 2 or states % 2:
        raise ValueError(
            f"states must be even and at least 2, as modes come in pairs, got {states}"
        )
