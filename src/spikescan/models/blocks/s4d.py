"""The baseline without spikes that is the block of S4."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikescan.models.blocks.base import Block
from spikescan.models.norm import NormKind, make_norm
from spikescan.models.walk import Trail
from spikescan.neurons import S4D, SSMState, StateSpace
from spikescan.neurons.base import make_part
from spikescan.neurons.dropout import Dropout


class S4DBlockState(NamedTuple):
    """State of :class:`S4DBlock`."""

    ssm: SSMState


class S4DBlock(Block):
    r"""Baseline without spikes: the block of S4, to compare spiking networks with.

    .. math::
        y = \mathrm{GELU}(\mathrm{SSM}(\mathrm{Norm}(x)) + S \odot \mathrm{Norm}(x)), \qquad
        z = x + \mathrm{Dropout}(\mathrm{GLU}(\mathrm{Linear}(\mathrm{Dropout}(y))))

    The Linear doubles the width and the gated linear unit halves it again.

    Args:
        features: width D of the stream.
        ssm: makes the state-space layer from its width. A two-sided one reads the future.
        norm: normalisation.
        prenorm: normalise what enters the state-space layer; otherwise the sum z.
        dropout: both probabilities of dropping, in training.

    Raises:
        ValueError: an argument is out of range, an input has another number of channels, or a
            block that is not causal gets a state or a step.

    Source: Gu et al. 2022 (arXiv 2111.00396 and 2206.11893).

    >>> out, state = S4DBlock(8)(torch.randn(2, 50, 8))
    >>> out.shape
    torch.Size([2, 50, 8])
    """

    def __init__(
        self,
        features: int,
        *,
        ssm: Callable[[int], StateSpace] = S4D,
        norm: NormKind = "batch",
        prenorm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(features)
        self.norm_in = make_norm(norm if prenorm else "none", features)
        self.ssm = make_part("ssm", ssm, features, StateSpace)
        self.skip = nn.Parameter(torch.randn(features))
        self.linear = nn.Linear(features, 2 * features)
        self.dropout = Dropout(dropout)
        self.norm_out = make_norm("none" if prenorm else norm, features)

    def parts(self, trail: Trail, x: str) -> str:
        y = trail.map("gelu", trail.scan("ssm", trail.norm("norm_in", x), self.skip))
        y = trail.map("glu", trail.dense("linear", y))
        return trail.norm("norm_out", trail.sum("after", x, y))

    def forward(
        self, x: Tensor, state: S4DBlockState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, S4DBlockState | None]:
        x, lengths = self.enter(x, state, S4DBlockState, lengths)
        before = None if state is None else state.ssm
        y, after = self.ssm(self.norm_in(x, lengths), before, lengths, self.skip)
        y = F.glu(self.linear(self.dropout(F.gelu(y))), -1)
        z = self.norm_out(x + self.dropout(y), lengths)
        return z, None if after is None else S4DBlockState(after)
