"""The baseline without spikes that is a causal transformer block."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikescan.models.blocks.base import Block
from spikescan.models.norm import NormKind, make_norm
from spikescan.models.walk import Trail
from spikescan.neurons.dropout import Dropout
from spikescan.neurons.dynamics import told
from spikescan.ops._core import validate
from spikescan.ops._core.history import with_history
from spikescan.ops._core.opaque import opaque


class TransformerBlockState(NamedTuple):
    """State of :class:`TransformerBlock`: the key and value cache, the latest step at the end."""

    keys: Tensor
    """(B, W, D), at least float32; zero where no step has been yet."""
    values: Tensor
    """(B, W, D), at least float32; zero where no step has been yet."""
    steps: Tensor
    """(B,) int64, number of steps in the cache."""


class TransformerBlock(Block):
    r"""Baseline without spikes: a causal pre-norm transformer block.

    .. math::
        y = x + \mathrm{Linear}(\mathrm{Attention}(\mathrm{Norm}(x))), \qquad
        z = y + \mathrm{Linear}(\mathrm{GELU}(\mathrm{Linear}(\mathrm{Norm}(y))))

    A step attends to itself and to the W steps before it, so that the cache has a fixed size; with
    W at least T - 1 this is full causal attention. Positions enter as rotations of queries and
    keys, which depend on distances only. A call of T steps costs min(T, W) + W scores per step.

    Args:
        features: width D of the stream.
        heads: number of heads; the width D / heads of each must be even.
        window: past steps W that a step sees.
        expansion: width of the MLP's hidden layer, as a multiple of D.
        norm: normalisation before the attention and before the MLP.
        dropout: probability of dropping an element that joins the stream, in training.

    Raises:
        ValueError: an argument is out of range, or an input or a state has another shape.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), with the norm before each branch and the rotary
    positions of Su et al. 2021 (arXiv 2104.09864).

    >>> out, state = TransformerBlock(8, heads=2, window=16)(torch.randn(2, 50, 8))
    >>> out.shape, state.keys.shape
    (torch.Size([2, 50, 8]), torch.Size([2, 16, 8]))
    """

    def __init__(
        self,
        features: int,
        *,
        heads: int = 4,
        window: int = 512,
        expansion: int = 4,
        norm: NormKind = "layer",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(features)
        if heads < 1 or features % (2 * heads):
            raise ValueError(
                f"heads must cut the {features} features into even widths, got {heads}"
            )
        for name, value in (("window", window), ("expansion", expansion)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.heads, self.window = heads, window
        self.norm_attention = make_norm(norm, features)
        self.project = nn.Linear(features, 3 * features)
        self.join = nn.Linear(features, features)
        self.norm_mlp = make_norm(norm, features)
        self.widen = nn.Linear(features, expansion * features)
        self.narrow = nn.Linear(expansion * features, features)
        self.dropout = Dropout(dropout)

    def extra_repr(self) -> str:
        return told(heads=self.heads, window=self.window)

    def parts(self, trail: Trail, x: str) -> str:
        y = trail.dense("project", trail.norm("norm_attention", x))
        y = trail.attention("attention", y, kind="softmax", heads=self.heads, window=self.window)
        x = trail.sum("after_attention", x, trail.dense("join", y))
        y = trail.map("gelu", trail.dense("widen", trail.norm("norm_mlp", x)))
        return trail.sum("after_mlp", x, trail.dense("narrow", y))

    def forward(
        self,
        x: Tensor,
        state: TransformerBlockState | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, TransformerBlockState]:
        x, valid = self.enter(x, state, TransformerBlockState, lengths)
        before = self._rest(x) if state is None else state
        cached = (x.shape[0], self.window, self.features)
        if before.keys.shape != cached or before.values.shape != cached:
            raise ValueError(
                f"state.keys and state.values must have shape {cached}, got "
                f"{tuple(before.keys.shape)} and {tuple(before.values.shape)}"
            )
        q, k, v = self.project(self.norm_attention(x, valid)).chunk(3, -1)
        keys, last_keys = with_history(k.to(before.keys.dtype), before.keys, valid)
        values, last_values = with_history(v.to(before.values.dtype), before.values, valid)
        if x.shape[1]:
            q = _attention(_Arguments(q, keys, values, before.steps, self.heads))
        x = x + self.dropout(self.join(q))
        z = self.narrow(F.gelu(self.widen(self.norm_mlp(x, valid))))
        added = x.shape[1] if valid is None else valid
        steps = (before.steps + added).clamp(max=self.window)
        return x + self.dropout(z), TransformerBlockState(last_keys, last_values, steps)

    def _rest(self, x: Tensor) -> TransformerBlockState:
        dtype = validate.accumulator(x.dtype)
        cache = x.new_zeros(x.shape[0], self.window, self.features, dtype=dtype)
        steps = x.new_zeros(x.shape[0], dtype=torch.int64)
        return TransformerBlockState(cache, cache, steps)


class _Arguments(NamedTuple):
    """Arguments of the attention."""

    q: Tensor
    """(B, T, D)."""
    keys: Tensor
    """(B, W + T, D), the cache first."""
    values: Tensor
    """(B, W + T, D), the cache first."""
    steps: Tensor
    """(B,) int64, number of steps in the cache."""
    heads: int


def _attend(given: _Arguments) -> Tensor:
    """What each query sees of the W steps before it and of its own, (B, T, D).

    Queries are cut into blocks of at most W, each of which sees its own part of the keys.
    """
    q, keys, values, steps, heads = given
    batch, total, features = q.shape
    window = keys.shape[1] - total
    # A product with a weight of zero lets a NaN through, of steps that are not seen too. Keep it
    # out, and let it spoil what sees it.
    seen = (~(keys + values).detach().isfinite()).any(-1).cumsum(1)
    spoilt = F.pad(seen, (1, 0))[:, :total] < seen[:, window:]
    keys, values = (torch.nan_to_num(z, 0.0, 0.0, 0.0) for z in (keys, values))
    size = min(total, window)
    missing = -total % size
    count = (total + missing) // size

    def fold(z: Tensor, width: int) -> Tensor:
        z = F.pad(z, (0, 0, 0, missing)).unfold(1, width, size)
        shape = (batch * count, heads, features // heads, width)
        return z.reshape(shape).transpose(-1, -2)

    at = torch.arange(window + size, device=q.device)
    query_at = at[window:, None]
    band = (at <= query_at) & (at >= query_at - window)
    # In the cache of a young row only the last entries are steps.
    absolute = at + size * torch.arange(count, device=q.device)[:, None]
    known = absolute >= window - steps[:, None, None]
    mask = (band & known.unsqueeze(2)).flatten(0, 1).unsqueeze(1)
    y = F.scaled_dot_product_attention(
        _rotate(fold(q, size), at[window:]).to(q.dtype),
        _rotate(fold(keys, window + size), at).to(q.dtype),
        fold(values, window + size).to(q.dtype),
        attn_mask=mask,
    )
    y = y.reshape(batch, count, *y.shape[1:]).permute(0, 1, 3, 2, 4)
    # A slice that is not contiguous is multiplied by other kernels with and without gradient.
    y = y.reshape(batch, total + missing, features)[:, :total].contiguous()
    return y.masked_fill(spoilt.unsqueeze(-1), torch.nan)


# A compiler would make a graph for each way to cut the queries.
_attention = opaque(
    "window_attention",
    _Arguments,
    results=1,
    function=_attend,
    fake=lambda given: torch.empty_like(given.q, memory_format=torch.contiguous_format),
)


def _rotate(z: Tensor, at: Tensor) -> Tensor:
    """Rotate the pairs (first half, second half) of z (..., T, d) by their positions ``at``."""
    half = z.shape[-1] // 2
    dtype = validate.accumulator(z.dtype)
    rates = 10_000.0 ** (-torch.arange(half, device=z.device, dtype=dtype) / half)
    angles = at.to(dtype)[:, None] * rates
    a, b = z.to(dtype).chunk(2, -1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)
