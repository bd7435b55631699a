"""The baseline without spikes that is a gated recurrent unit."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spikescan.models.blocks.base import Block
from spikescan.models.norm import NormKind, make_norm
from spikescan.models.walk import Trail
from spikescan.neurons.dropout import Dropout
from spikescan.ops._core.opaque import opaque


class GRUBlockState(NamedTuple):
    """State of :class:`GRUBlock`."""

    h: Tensor
    """(B, D), hidden state of the GRU; the dtype of its weights."""


class GRUBlock(Block):
    r"""Baseline without spikes: a gated recurrent unit in a residual block.

    .. math:: z = x + \mathrm{Dropout}(\mathrm{Linear}(\mathrm{GRU}(\mathrm{Norm}(x))))

    Args:
        features: width D of the stream and of the hidden state.
        norm: normalisation of what enters the GRU.
        dropout: probability of dropping an element that joins the stream, in training.

    Raises:
        ValueError: an input has another number of channels.

    Source: Cho et al. 2014 (arXiv 1406.1078), as ``torch.nn.GRU`` computes it; the parameters of
    ``gru`` have its names.

    >>> out, state = GRUBlock(8)(torch.randn(2, 50, 8))
    >>> out.shape, state.h.shape
    (torch.Size([2, 50, 8]), torch.Size([2, 8]))
    """

    def __init__(self, features: int, *, norm: NormKind = "layer", dropout: float = 0.0) -> None:
        super().__init__(features)
        self.norm = make_norm(norm, features)
        self.gru = GRU(features)
        self.linear = nn.Linear(features, features)
        self.dropout = Dropout(dropout)

    def parts(self, trail: Trail, x: str) -> str:
        y = trail.dense("linear", trail.gated("gru", trail.norm("norm", x)))
        return trail.sum("after", x, y)

    def forward(
        self, x: Tensor, state: GRUBlockState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, GRUBlockState]:
        x, valid = self.enter(x, state, GRUBlockState, lengths)
        dtype = self.gru.weight_hh_l0.dtype
        h = x.new_zeros(x.shape[0], self.features, dtype=dtype) if state is None else state.h
        if h.shape != (x.shape[0], self.features):
            raise ValueError(
                f"state.h must have shape ({x.shape[0]}, {self.features}), got {tuple(h.shape)}"
            )
        h, y = h.to(dtype), self.norm(x, valid).to(dtype)
        # torch's kernel wants one dtype throughout, which autocast would break.
        with torch.autocast(x.device.type, enabled=False):
            hidden = self.gru(y, h)
        if valid is None:
            last = hidden[:, -1] if x.shape[1] else h
        else:
            index = valid[:, None, None].expand(-1, 1, self.features)
            last = torch.cat((h.unsqueeze(1), hidden), 1).gather(1, index).squeeze(1)
        return x + self.dropout(self.linear(hidden)), GRUBlockState(last)


class GRU(nn.Module):
    """One layer of ``torch.nn.GRU(features, features, batch_first=True)``, with its parameters.

    torch.compile refuses torch's module, though not the function behind it, which this calls.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(features)

        def uniform(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

        self.weight_ih_l0 = uniform(3 * features, features)
        self.weight_hh_l0 = uniform(3 * features, features)
        self.bias_ih_l0 = uniform(3 * features)
        self.bias_hh_l0 = uniform(3 * features)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """Hidden states (B, T, D) for inputs x (B, T, D) from h (B, D)."""
        if not x.shape[1]:
            return x
        weights = (self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0)
        given = _Arguments(x, h, *weights, self.training)
        return _gru(given)  # type: ignore[no-any-return]


class _Arguments(NamedTuple):
    """Arguments of torch's GRU of one layer."""

    x: Tensor
    h: Tensor
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor
    training: bool


def _hidden(given: _Arguments) -> Tensor:
    x, h, *weights, training = given
    # Time first: what is not contiguous would be multiplied by other kernels with and without
    # gradient. Then: biases, one layer, no dropout, training or not, one direction, time first.
    hidden, _ = torch.gru(
        x.transpose(0, 1).contiguous(),
        h.unsqueeze(0), list(weights), True, 1, 0.0, training, False, False,
    )  # fmt: skip
    return hidden.transpose(0, 1).contiguous()


# A compiler would unroll it over time.
_gru = opaque(
    "gru",
    _Arguments,
    results=1,
    function=_hidden,
    fake=lambda given: torch.empty_like(given.x, memory_format=torch.contiguous_format),
)
