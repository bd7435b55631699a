"""State-space models as one operator of compiled graphs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core.opaque import opaque
from spikescan.ops.ssm import chunked
from spikescan.ops.ssm.system import Diagonal, LowRank, Matrices, real


class Forward(NamedTuple):
    """Arguments of the operator, see :func:`chunked.ssm`; the system as real :class:`Matrices`."""

    x: Tensor
    h0: Tensor | None
    lengths: Tensor | None
    skip: Tensor | None
    a: Tensor
    b: Tensor
    c: Tensor
    c_back: Tensor | None


def _run(given: Forward) -> tuple[Tensor, Tensor]:
    """Outputs (B, T, D) and the last state (B, D, N), without elements for a two-sided system."""
    system = Matrices(given.a, given.b, given.c, given.c_back)
    y, h = chunked.ssm(given.x, system, given.h0, given.lengths, given.skip)
    return y.contiguous(), y.new_empty(0) if h is None else h.contiguous()


def _fake(given: Forward) -> tuple[Tensor, Tensor]:
    x, states = given.x, given.b.shape[1]
    h = x.new_empty(x.shape[0], x.shape[2], states) if given.c_back is None else x.new_empty(0)
    return torch.empty_like(x, memory_format=torch.contiguous_format), h


ssm_scan = opaque("ssm", Forward, results=2, function=_run, fake=_fake)


def ssm(
    x: Tensor,
    system: Diagonal | LowRank,
    h0: Tensor | None,
    lengths: Tensor | None,
    skip: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """What :func:`chunked.ssm` gives, as one node of a graph that takes any length."""
    y, h = ssm_scan.operator(Forward(x, h0, lengths, skip, *real(system)))
    return y, h if system.c_back is None else None
