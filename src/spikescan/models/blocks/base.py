"""The contract of blocks, and what blocks share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NoReturn

import torch
from torch import Tensor, nn


class Block(nn.Module, ABC):
    """A layer of a network, from a stream (B, T, D) to a stream (B, T, D).

    Blocks keep the contract of neurons: ``out, state = block(x, state, lengths)`` and
    ``out_t, state = block.step(x_t, state)``. One that looks into the future is ``causal = False``
    and refuses states and steps.
    """

    causal: bool = True

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    @abstractmethod
    def forward(
        self, x: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Run sequences x (B, T, D) from ``state``; return the stream (B, T, D), the new state."""

    def step(self, x_t: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Run one step x_t (B, D) from ``state``; return the stream (B, D) and the new state."""
        self.require_causal("step")
        require_eval_to_step(self)
        out, state = self(x_t.unsqueeze(1), state)
        return out.squeeze(1), state

    def require_causal(self, what: str) -> None:
        if not self.causal:
            refuse_future(type(self).__name__, what)


def check_stream(x: Tensor, features: int) -> None:
    """Refuse what is not a stream (B, T, ``features``).

    Raises:
        ValueError: x has another shape.
    """
    if x.ndim != 3 or x.shape[2] != features:
        raise ValueError(f"x must have shape (B, T, {features}), got {tuple(x.shape)}")


def refuse_future(name: str, what: str) -> NoReturn:
    raise ValueError(
        f"{name} reads the future here (bidirectional or two-sided) and has no {what}; "
        "run whole sequences, or build it causal"
    )


def require_eval_to_step(module: nn.Module) -> None:
    """Refuse to run step by step where statistics or masks over whole sequences are in use."""
    if module.training and any(
        isinstance(m, nn.BatchNorm1d) or (isinstance(m, nn.Dropout) and m.p > 0)
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
