"""The contract of blocks, and what blocks share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from spikescan.models.norm import BatchNorm, without_padding
from spikescan.models.walk import Trail
from spikescan.neurons.base import Recurrent
from spikescan.neurons.sampler import NOT_BOTH
from spikescan.ops._core import validate
from spikescan.ops.bernoulli import fresh_keys


class Block(Recurrent):
    """A layer of a network, from a stream (B, T, D) to a stream (B, T, D).

    Blocks keep the contract of neurons: ``out, state = block(x, state, lengths)`` and
    ``out_t, state = block.step(x_t, state)``. One in which anything looks into the future is not
    ``causal``: it gives the state None, and refuses states and steps. One in which anything draws
    random numbers takes a ``generator`` too, and hands each part its keys.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    @abstractmethod
    def forward(
        self, x: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Run sequences x (B, T, D) from ``state``; return the stream (B, T, D), the new state."""

    @abstractmethod
    def parts(self, trail: Trail, x: str) -> str:
        """Add what the block computes to a trail that leads to the stream ``x``; return the name of
        the last part, see :func:`~spikescan.models.walk`."""

    def step(self, x_t: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Run one step x_t (B, D) from ``state``; return the stream (B, D) and the new state."""
        require_eval_to_step(self)
        return super().step(x_t, state)

    def enter(
        self, x: Tensor, state: object, kind: type, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The stream with zeros in its padding, and the lengths, both checked, as is the state."""
        check_stream(x, self.features)
        self.require_state(state, kind)
        lengths = validate.valid_lengths(lengths, x)
        return without_padding(x, lengths), lengths


class Encoder(Recurrent):
    """What takes the place of a backbone's linear encoder: from x (B, T, inputs) to its stream
    (B, T, D), under the contract of blocks."""

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        self.inputs, self.features = inputs, features

    @abstractmethod
    def parts(self, trail: Trail, x: str) -> str:
        """Add what the encoder computes to a trail, see :meth:`Block.parts`."""

    def step(self, x_t: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Run one step x_t (B, inputs) from ``state``; return the stream (B, D) and new state."""
        require_eval_to_step(self)
        return super().step(x_t, state)


def row_keys(
    x: Tensor, state: object, generator: torch.Generator | Tensor | None, *parts: Any
) -> list[dict[str, Tensor]]:
    """What each part takes of a row's random keys, as options of its call; nothing but at rest.

    A row takes the keys of all parts at once: it has the same ones alone and in any batch.

    Raises:
        ValueError: a generator and a state are given, or keys of another number.
    """
    if state is not None:
        if generator is not None:
            raise ValueError(NOT_BOTH)
        return [{}] * len(parts)
    counts: list[int] = [0 if part is None else part.random_keys for part in parts]
    if generator is None and not any(counts):
        return [{}] * len(parts)
    drawn = torch.split(fresh_keys(x.shape[0], sum(counts), x.device, generator), counts, 1)
    return [{"generator": own} if own.shape[1] else {} for own in drawn]


def check_stream(x: Tensor, features: int) -> None:
    """Refuse what is not a stream (B, T, ``features``).

    Raises:
        TypeError: x is no tensor.
        ValueError: x has another shape.
    """
    validate.tensor("x", x)
    if x.ndim != 3 or x.shape[2] != features:
        raise ValueError(f"x must have shape (B, T, {features}), got {tuple(x.shape)}")


def require_eval_to_step(module: nn.Module) -> None:
    """Refuse to run step by step where statistics or masks over whole sequences are in use."""
    if any(
        (isinstance(m, BatchNorm) and m.inner.training)
        or (isinstance(m, nn.Dropout) and m.training and m.p > 0)
        for m in module.modules()
    ):
        raise RuntimeError(
            f"{type(module).__name__}.step needs eval(): in training, batch normalisation and "
            "dropout are defined over whole sequences"
        )


def reverse_time(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse (B, T, D) in time, each row within its own valid part; padding stays in place."""
    if lengths is None:
        return x.flip(1)
    t = torch.arange(x.shape[1], device=x.device)
    source = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return x.gather(1, source.unsqueeze(-1).expand_as(x))
