"""A causal spiking transformer block, whose attention is a linear recurrence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from spikescan.models.blocks.base import Block, row_keys
from spikescan.models.norm import NormKind, make_norm
from spikescan.models.spike_linear import SpikeLinear, SteadyLinear
from spikescan.models.walk import Trail
from spikescan.neurons import LIF, Neuron
from spikescan.neurons.base import make_part
from spikescan.neurons.dropout import Dropout
from spikescan.neurons.dynamics import told
from spikescan.ops._core import validate
from spikescan.ops._core.opaque import opaque


class SpikingTransformerState(NamedTuple):
    """State of :class:`SpikingTransformer`; its size does not grow with the sequence."""

    memory: Tensor
    """(B, H, D/H, D/H), sum of the outer products of keys and values; at least float32."""
    steps: Tensor
    """(B,) int64, number of steps so far."""
    projected: Any
    """That of the neurons that fire queries, keys and values."""
    attended: Any
    """That of the neurons after the attention."""
    entry: Any
    """That of the neurons before the MLP's first Linear."""
    hidden: Any
    """That of the neurons between the MLP's Linears."""


class SpikingTransformer(Block):
    r"""Attend to the past with spikes, then mix channels with a spiking MLP.

    .. math::
        (q, k, v) &= \mathrm{Neuron}(\mathrm{Norm}(\mathrm{Linear}(x))), \qquad
        M_t = M_{t-1} + k_t^\top v_t, \qquad o_t = \tfrac{1}{t} q_t M_t \\
        y &= x + \mathrm{Linear}(\mathrm{Neuron}(\mathrm{Norm}(o))) \\
        s &= \mathrm{Neuron}(\mathrm{Norm}(y)), \qquad
        z = y + \mathrm{Linear}(\mathrm{Neuron}(\mathrm{Norm}(\mathrm{Linear}(s))))

    for each head; t counts the steps since rest. The stream is real-valued, what every Linear of
    the branches but the first gets are spikes. There is a norm right before each layer of neurons:
    without it they hardly fire at the start, and a product of three rare spikes teaches nothing.

    Attention has no softmax, for two reasons. Queries, keys and values are 0 or 1, so that all of
    it is additions of whole numbers, but for the one division by t. And the sum over the past is
    then a state of fixed size, so that the block streams; a softmax would need all past keys. The
    division by t makes o a mean over the past, whose size does not grow with the sequence. With
    binary neurons M is exact in float32 up to 2^24 coincidences, and so is o before the division,
    in one piece, in chunks and in steps.

    In parallel, steps are cut into pieces: a masked product within each, M between them. Time and
    memory grow linearly with T.

    Args:
        features: width D of the stream.
        neuron: makes each layer of neurons from its width; any neuron of the library.
        heads: number of heads H, which divides D.
        expansion: width of the MLP's hidden layer, as a multiple of D.
        norm: normalisation of what drives each layer of neurons.
        dropout: probability of dropping an element that joins the stream, in training.
        piece: steps whose attention is one masked product. Decides speed alone.

    Raises:
        ValueError: an argument is out of range, an input has another number of channels, or a
            block whose neuron reads the future gets a state or a step.

    Source: attention without softmax between spikes is that of Zhou et al. 2023 (Spikformer, arXiv
    2209.15425), its causal form as a recurrence that of Katharopoulos et al. 2020 (arXiv
    2006.16236). We depart from Spikformer in three places: attention is causal over the sequence's
    own time, where theirs is over image patches at each simulation step; the mean over the past
    takes the place of a fixed scale; and the residual stream is real-valued, with spikes on the
    branches alone.

    >>> from spikescan import PRF
    >>> block = SpikingTransformer(8, neuron=PRF, heads=2)
    >>> out, state = block(torch.randn(2, 50, 8))
    >>> out.shape, state.memory.shape
    (torch.Size([2, 50, 8]), torch.Size([2, 2, 4, 4]))
    """

    def __init__(
        self,
        features: int,
        *,
        neuron: Callable[[int], Neuron] = LIF,
        heads: int = 4,
        expansion: int = 4,
        norm: NormKind = "batch",
        dropout: float = 0.0,
        piece: int = 64,
    ) -> None:
        super().__init__(features)
        if heads < 1 or features % heads:
            raise ValueError(f"heads must divide the {features} features, got {heads}")
        for name, value in (("expansion", expansion), ("piece", piece)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.heads, self.piece = heads, piece
        # Batch normalisation subtracts any bias again, which would then walk with Adam.
        bias = norm != "batch"
        self.project = SteadyLinear(features, 3 * features, bias=bias)
        self.norm_projected = make_norm(norm, 3 * features)
        self.projected = make_part("neuron", neuron, 3 * features, Neuron)
        self.norm_attended = make_norm(norm, features)
        self.attended = make_part("neuron", neuron, features, Neuron)
        self.join = SpikeLinear(features, features)
        self.norm_entry = make_norm(norm, features)
        self.entry = make_part("neuron", neuron, features, Neuron)
        self.widen = SpikeLinear(features, expansion * features, bias=bias)
        self.norm_hidden = make_norm(norm, expansion * features)
        self.hidden = make_part("neuron", neuron, expansion * features, Neuron)
        self.narrow = SpikeLinear(expansion * features, features)
        self.dropout = Dropout(dropout)

    def extra_repr(self) -> str:
        return told(heads=self.heads)

    def parts(self, trail: Trail, x: str) -> str:
        y = trail.norm("norm_projected", trail.dense("project", x))
        y = trail.neurons("projected", y)
        y = trail.attention("attention", y, kind="sums", heads=self.heads)
        s = trail.neurons("attended", trail.norm("norm_attended", y))
        x = trail.sum("after_attention", x, trail.synapse("join", s))
        s = trail.neurons("entry", trail.norm("norm_entry", x))
        y = trail.norm("norm_hidden", trail.synapse("widen", s))
        y = trail.synapse("narrow", trail.neurons("hidden", y))
        return trail.sum("after_mlp", x, y)

    def forward(
        self,
        x: Tensor,
        state: SpikingTransformerState | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | Tensor | None = None,
    ) -> tuple[Tensor, SpikingTransformerState | None]:
        x, lengths = self.enter(x, state, SpikingTransformerState, lengths)
        layers = (self.projected, self.attended, self.entry, self.hidden)
        keys = row_keys(x, state, generator, *layers)
        if state is None:
            state = self._rest(x)
        spikes, projected = self.projected(
            self.norm_projected(self.project(x), lengths), state.projected, lengths, **keys[0]
        )
        o, memory = self._attend(spikes, state)
        s, attended = self.attended(
            self.norm_attended(o.to(x.dtype), lengths), state.attended, lengths, **keys[1]
        )
        x = x + self.dropout(self.join(s))
        s, entry = self.entry(self.norm_entry(x, lengths), state.entry, lengths, **keys[2])
        s, hidden = self.hidden(
            self.norm_hidden(self.widen(s), lengths), state.hidden, lengths, **keys[3]
        )
        x = x + self.dropout(self.narrow(s))
        if not self.causal:
            return x, None
        steps = state.steps + (x.shape[1] if lengths is None else lengths)
        return x, SpikingTransformerState(memory, steps, projected, attended, entry, hidden)

    def _rest(self, x: Tensor) -> SpikingTransformerState:
        dtype = validate.accumulator(x.dtype)
        size = self.features // self.heads
        memory = x.new_zeros(x.shape[0], self.heads, size, size, dtype=dtype)
        steps = x.new_zeros(x.shape[0], dtype=torch.int64)
        return SpikingTransformerState(memory, steps, None, None, None, None)

    def _attend(self, spikes: Tensor, state: SpikingTransformerState) -> tuple[Tensor, Tensor]:
        """Mean over the past (B, T, D) for queries, keys, values (B, T, 3D), and the new memory.

        Beyond a row's length neurons are silent, so that nothing is added to its memory.
        """
        batch, total, _ = spikes.shape
        dtype = state.memory.dtype
        # Under autocast products would be rounded to bfloat16, whose whole numbers end at 256.
        with torch.autocast(spikes.device.type, enabled=False):
            shape = (batch, total, 3, self.heads, self.features // self.heads)
            q, k, v = spikes.to(dtype).reshape(shape).permute(2, 0, 3, 1, 4)
            sums, memory = _attention(_Arguments(q, k, v, state.memory, self.piece))
            count = state.steps[:, None] + torch.arange(1, total + 1, device=spikes.device)
            o = sums.transpose(1, 2).flatten(2) / count.unsqueeze(-1)
        return o, memory


def causal_sums(
    q: Tensor, k: Tensor, v: Tensor, memory: Tensor, piece: int
) -> tuple[Tensor, Tensor]:
    r"""Sums over the past, :math:`o_t = q_t (M_0 + \sum_{j \le t} k_j^\top v_j)`, and the last M.

    Args:
        q: queries (B, H, T, d).
        k: keys (B, H, T, d).
        v: values (B, H, T, d).
        memory: M_0 (B, H, d, d).
        piece: steps that one masked product covers.

    Returns:
        o (B, H, T, d) and M after the last step (B, H, d, d).
    """
    total = q.shape[2]
    piece = max(1, min(piece, total))
    missing = -total % piece
    # Zero keys at the end add nothing.
    cut = ((total + missing) // piece, piece)
    q, k, v = (
        F.pad(z, (0, 0, 0, missing)).reshape(*z.shape[:2], *cut, z.shape[-1]) for z in (q, k, v)
    )
    added = k.transpose(-1, -2) @ v
    after = memory.unsqueeze(2) + added.cumsum(2)
    before = torch.cat((memory.unsqueeze(2), after[:, :, :-1]), 2)[:, :, : added.shape[2]]
    out = (q @ k.transpose(-1, -2)).tril() @ v + q @ before
    return out.flatten(2, 3)[:, :, :total], after[:, :, -1] if total else memory


class _Arguments(NamedTuple):
    """Arguments of :func:`causal_sums`."""

    q: Tensor
    k: Tensor
    v: Tensor
    memory: Tensor
    piece: int


def _sums(given: _Arguments) -> tuple[Tensor, Tensor]:
    sums, memory = causal_sums(*given)
    return sums.contiguous(), memory.clone()


def _sums_fake(given: _Arguments) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(given.q, memory_format=torch.contiguous_format),
        torch.empty_like(given.memory, memory_format=torch.contiguous_format),
    )


# A compiler would make a graph for each way to cut the steps.
_attention = opaque("causal_sums", _Arguments, results=2, function=_sums, fake=_sums_fake)
