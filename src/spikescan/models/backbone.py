"""The body of a network: from tokens or values to a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from spikescan.models.blocks.base import Block, Encoder, require_eval_to_step, row_keys
from spikescan.models.norm import inside
from spikescan.models.spike_linear import SteadyLinear
from spikescan.models.walk import Trail
from spikescan.neurons import Neuron
from spikescan.neurons.base import Recurrent, make_part
from spikescan.ops._core import validate


class BackboneState(NamedTuple):
    """State of :class:`Backbone`."""

    encoder: Any
    """That of the encoder; None of a plain one."""
    blocks: tuple[Any, ...]
    """That of each block."""
    readout: Any
    """That of the last neuron; None without one."""


class Backbone(Recurrent):
    r"""An encoder and a stack of blocks; its stream is what a head reads.

    Real input is encoded by a Linear, unless there is another encoder, tokens by an Embedding.

    Args:
        block: makes one block from the width of the stream; None only with a depth of 0.
        inputs: channels of real input (B, T, inputs); not used with a vocabulary.
        vocabulary: number of tokens of integer input (B, T); None for real input.
        features: width D of the stream.
        depth: number of blocks; none only where there is a readout or an encoder.
        readout: makes a last neuron, whose spikes then take the stream's place.
        encoder: makes what reads real input from the width of the stream.

    Raises:
        ValueError: an argument is out of range, or the input has another shape.
        TypeError: an argument, the input or the state is of another type.

    >>> from spikescan.models import SDTCM
    >>> stream, state = Backbone(SDTCM, inputs=3, features=32)(torch.randn(4, 100, 3))
    >>> stream.shape
    torch.Size([4, 100, 32])
    """

    def __init__(
        self,
        block: Callable[[int], Block] | None,
        *,
        inputs: int = 1,
        vocabulary: int | None = None,
        features: int = 128,
        depth: int = 2,
        readout: Callable[[int], Neuron] | None = None,
        encoder: Callable[[int], Encoder] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("inputs", inputs), ("vocabulary", vocabulary), ("features", features)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if depth < (1 if readout is None and encoder is None else 0):
            raise ValueError(
                f"depth must be at least 1, or 0 with a readout or an encoder, got {depth}"
            )
        if block is None and depth:
            raise ValueError(f"block must be given for a depth of {depth}, got None")
        if encoder is not None and vocabulary is not None:
            raise ValueError("encoder must be None for tokens, which an Embedding encodes")
        self.inputs, self.vocabulary, self.features = inputs, vocabulary, features
        if vocabulary is not None:
            self.encoder: nn.Module = nn.Embedding(vocabulary, features)
        elif encoder is not None:
            made = make_part("encoder", encoder, features, Encoder)
            if made.inputs != inputs:
                raise ValueError(f"encoder must read the {inputs} inputs, got one of {made.inputs}")
            self.encoder = made
        else:
            self.encoder = SteadyLinear(inputs, features)
        self.blocks = nn.ModuleList(
            make_part("block", cast(Any, block), features, Block) for _ in range(depth)
        )
        self.readout = None if readout is None else make_part("readout", readout, features, Neuron)

    def parts(self, trail: Trail, x: str) -> str:
        """Add what the backbone computes to a trail, see :func:`~spikescan.models.walk`."""
        own = isinstance(self.encoder, Encoder)
        x = trail.follow("encoder", x) if own else trail.dense("encoder", x)
        for i in range(len(self.blocks)):
            x = trail.follow(f"blocks.{i}", x)
        return x if self.readout is None else trail.neurons("readout", x)

    def forward(
        self,
        x: Tensor,
        state: BackboneState | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | Tensor | None = None,
    ) -> tuple[Tensor, BackboneState | None]:
        """The stream (B, T, D) of sequences x ((B, T, inputs), or (B, T) tokens), and the state.

        Where anything fires at random, a row at rest takes all its keys from ``generator``, or has
        them given (B, random_keys).
        """
        self._check(x)
        self.require_state(state, BackboneState)
        lengths = validate.valid_lengths(lengths, x)
        if lengths is not None:
            # Padding may hold anything, NaN too; from here on it holds zero.
            valid = inside(lengths, x.shape[1])
            x = torch.where(valid if x.ndim == 3 else valid.squeeze(-1), x, 0)
        own = self.encoder if isinstance(self.encoder, Encoder) else None
        first, *keys = row_keys(x, state, generator, own, *self.blocks, self.readout)
        encoded = None
        if own is None:
            stream = self.encoder(x)
        else:
            stream, encoded = own(x, None if state is None else state.encoder, lengths, **first)
        states: list[Any] = []
        for i, block in enumerate(self.blocks):
            before = None if state is None else state.blocks[i]
            stream, new = block(stream, before, lengths, **keys[i])
            states.append(new)
        last = None
        if self.readout is not None:
            before = None if state is None else state.readout
            stream, last = self.readout(stream, before, lengths, **keys[-1])
        return stream, BackboneState(encoded, tuple(states), last) if self.causal else None

    def step(
        self, x_t: Tensor, state: BackboneState | None = None
    ) -> tuple[Tensor, BackboneState | None]:
        """The stream (B, D) of one step x_t ((B, inputs), or (B,) tokens), and the state."""
        require_eval_to_step(self)
        return super().step(x_t, state)

    def _check(self, x: Tensor) -> None:
        validate.tensor("x", x)
        if self.vocabulary is not None:
            if x.ndim != 2 or x.is_floating_point():
                raise ValueError(
                    f"x must be tokens (B, T) of an integer dtype, got {x.dtype} {tuple(x.shape)}"
                )
        elif x.ndim != 3 or x.shape[2] != self.inputs:
            raise ValueError(f"x must have shape (B, T, {self.inputs}), got {tuple(x.shape)}")
        elif not x.is_floating_point():
            raise TypeError(f"x must be floating-point, got {x.dtype}")
