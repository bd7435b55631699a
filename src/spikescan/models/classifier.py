"""Whole networks that read a sequence and name its class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spikescan.models.blocks.base import Block, refuse_future, require_eval_to_step
from spikescan.models.norm import inside
from spikescan.neurons import Neuron


class ClassifierState(NamedTuple):
    """State of :class:`Classifier`."""

    blocks: tuple[Any, ...]
    readout: Any
    total: Tensor
    """(B, D), sum of the last stream over the steps so far."""
    steps: Tensor
    """(B, 1), number of steps so far."""


class Classifier(nn.Module):
    r"""Encoder, a stack of blocks, mean over valid time, linear head.

    Real input is encoded by a Linear, tokens by an Embedding. The head sees the mean over the
    steps so far, so that ``step`` gives the logits of the sequence read up to now.

    Args:
        block: makes one block from the width of the stream.
        inputs: channels of real input (B, T, inputs); not used with a vocabulary.
        classes: number of classes.
        vocabulary: number of tokens of integer input (B, T); None for real input.
        features: width D of the stream.
        depth: number of blocks.
        readout: makes a last neuron, whose spikes then take the stream's place before the mean.

    Raises:
        ValueError: an argument is out of range, or the input has another shape or dtype.

    >>> from spikescan.models import SDTCM
    >>> model = Classifier(SDTCM, inputs=1, classes=10, features=32, depth=2)
    >>> logits, state = model(torch.randn(4, 100, 1))
    >>> logits.shape
    torch.Size([4, 10])
    """

    def __init__(
        self,
        block: Callable[[int], Block],
        *,
        inputs: int = 1,
        classes: int = 10,
        vocabulary: int | None = None,
        features: int = 128,
        depth: int = 2,
        readout: Callable[[int], Neuron] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("inputs", inputs), ("classes", classes), ("features", features)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if depth < 0:
            raise ValueError(f"depth must not be negative, got {depth}")
        self.inputs, self.vocabulary, self.classes = inputs, vocabulary, classes
        self.encoder = (
            nn.Linear(inputs, features)
            if vocabulary is None
            else nn.Embedding(vocabulary, features)
        )
        self.blocks = nn.ModuleList(block(features) for _ in range(depth))
        self.readout = None if readout is None else readout(features)
        self.head = nn.Linear(features, classes)

    @property
    def causal(self) -> bool:
        """Whether the network can run step by step."""
        return all(block.causal for block in self.blocks)

    def forward(
        self, x: Tensor, state: ClassifierState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, ClassifierState | None]:
        """Logits (B, classes) of sequences x ((B, T, inputs), or (B, T) tokens), and the state."""
        self._check(x)
        if state is not None and not self.causal:
            refuse_future(type(self).__name__, "state")
        valid = None if lengths is None else inside(lengths, x.shape[1])
        if valid is not None:
            # Padding may hold anything, NaN too; from here on it holds zero.
            x = torch.where(valid if x.ndim == 3 else valid.squeeze(-1), x, 0)
        stream = self.encoder(x)
        states: list[Any] = []
        for i, block in enumerate(self.blocks):
            stream, new = block(stream, None if state is None else state.blocks[i], lengths)
            states.append(new)
        last = None
        if self.readout is not None:
            before = None if state is None else state.readout
            stream, last = self.readout(stream, before, lengths)
        if valid is None or lengths is None:
            total = stream.sum(1)
            count = torch.full_like(total[:, :1], x.shape[1])
        else:
            total = torch.where(valid, stream, 0).sum(1)
            count = lengths[:, None].to(total.dtype)
        if state is not None:
            total, count = state.total + total, state.steps + count
        logits = self.head(total / count.clamp(min=1))
        if not self.causal:
            return logits, None
        return logits, ClassifierState(tuple(states), last, total, count)

    def step(
        self, x_t: Tensor, state: ClassifierState | None = None
    ) -> tuple[Tensor, ClassifierState]:
        """Read one step x_t ((B, inputs), or (B,) tokens): logits so far, and the state."""
        if not self.causal:
            refuse_future(type(self).__name__, "step")
        require_eval_to_step(self)
        return self(x_t.unsqueeze(1), state)

    def _check(self, x: Tensor) -> None:
        if self.vocabulary is not None:
            if x.ndim != 2 or x.is_floating_point():
                raise ValueError(
                    f"x must be tokens (B, T) of an integer dtype, got {x.dtype} {tuple(x.shape)}"
                )
        elif x.ndim != 3 or x.shape[2] != self.inputs or not x.is_floating_point():
            raise ValueError(
                f"x must be real input (B, T, {self.inputs}), got {x.dtype} {tuple(x.shape)}"
            )
