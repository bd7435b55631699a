"""State-space models as one operator of compiled graphs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core.opaque import opaque
from spikescan.ops.ssm import chunked, cpu
from spikescan.ops.ssm.system import Diagonal, LowRank, Matrices, real

Scan = Callable[..., tuple[Tensor, Tensor | None]]
"""A function that runs systems, :func:`chunked.ssm` or another with its arguments."""


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
    compiled: bool
    """run the compiled kernel, otherwise torch's products"""


def _run(given: Forward) -> tuple[Tensor, Tensor]:
    """Outputs (B, T, D) and the last state (B, D, N), without elements for a two-sided system."""
    system = Matrices(given.a, given.b, given.c, given.c_back)
    run = cpu.ssm if given.compiled else chunked.ssm
    y, h = run(given.x, system, given.h0, given.lengths, given.skip)
    return y.contiguous(), y.new_empty(0) if h is None else h.contiguous()


def _fake(given: Forward) -> tuple[Tensor, Tensor]:
    x, states = given.x, given.b.shape[1]
    h = x.new_empty(x.shape[0], x.shape[2], states) if given.c_back is None else x.new_empty(0)
    return torch.empty_like(x, memory_format=torch.contiguous_format), h


ssm_scan = opaque("ssm", Forward, results=2, function=_run, fake=_fake)


def recorded(run: Scan) -> Scan:
    """What ``run`` gives, :func:`cpu.ssm` or :func:`chunked.ssm`, as one node of a graph that takes
    any length."""
    return partial(_ssm, run is cpu.ssm)


def _ssm(
    compiled: bool,
    x: Tensor,
    system: Diagonal | LowRank,
    h0: Tensor | None,
    lengths: Tensor | None,
    skip: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    given = Forward(x, h0, lengths, skip, *real(system), compiled)
    y, h = ssm_scan.operator(given)
    return y, h if system.c_back is None else None
