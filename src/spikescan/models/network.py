"""Whole networks: a backbone and the head that reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikescan.models.backbone import Backbone, BackboneState
from spikescan.models.blocks.base import Block, require_eval_to_step
from spikescan.models.heads import Head, MeanHead
from spikescan.models.scale import Scale
from spikescan.models.walk import Trail
from spikescan.neurons import Neuron
from spikescan.neurons.base import Recurrent
from spikescan.ops._core import validate


class NetworkState(NamedTuple):
    """State of :class:`Network`."""

    backbone: BackboneState
    head: Any


class Network(Recurrent):
    r"""A backbone and a head: from a sequence to what the head gives for it.

    .. math:: y = \mathrm{Head}(\mathrm{Backbone}(x))

    Args:
        backbone: from tokens or values to a stream.
        head: from the stream to one output for the sequence so far, or one for every step.
        scale: shifts and scales real input before the backbone reads it; None for none.

    Raises:
        ValueError: the head reads another width than the stream has, the scale has other channels
            than the input, or the input has another shape or dtype.

    >>> import torch
    >>> from spikescan.models import SDTCM, StepHead
    >>> model = Network(Backbone(SDTCM, inputs=1, features=32), StepHead(32, 2))
    >>> forecast, state = model(torch.randn(4, 100, 1))
    >>> forecast.shape
    torch.Size([4, 100, 2])
    """

    def __init__(self, backbone: Backbone, head: Head, scale: Scale | None = None) -> None:
        super().__init__()
        if head.features != backbone.features:
            raise ValueError(
                f"head must read a stream of width {backbone.features}, got {head.features}"
            )
        if scale is not None and (
            backbone.vocabulary is not None or scale.features != backbone.inputs
        ):
            wanted = "no tokens" if backbone.vocabulary is not None else f"{backbone.inputs}"
            raise ValueError(
                f"scale must have the channels of the input, {wanted}, got {scale.features}"
            )
        self.scale = scale
        self.backbone = backbone
        self.head = head

    def parts(self, trail: Trail, x: str) -> str:
        """Add what the network computes to a trail, see :func:`~spikescan.models.walk`."""
        if self.scale is not None:
            x = self.scale.parts(trail, x, "scale")
        return trail.follow("head", trail.follow("backbone", x))

    def forward(
        self,
        x: Tensor,
        state: NetworkState | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | Tensor | None = None,
    ) -> tuple[Tensor, NetworkState | None]:
        """The head's output for sequences x ((B, T, inputs), or (B, T) tokens), and the state.

        Where anything fires at random, a row at rest takes all its keys from ``generator``, or has
        them given (B, random_keys).
        """
        self.require_state(state, NetworkState)
        validate.tensor("x", x)
        lengths = validate.valid_lengths(lengths, x)
        if self.scale is not None:
            x = self.scale(x)
        before, read = (None, None) if state is None else state
        stream, after = self.backbone(x, before, lengths, generator)
        out, read = self.head(stream, read, lengths)
        return out, None if after is None else NetworkState(after, read)

    def step(
        self, x_t: Tensor, state: NetworkState | None = None
    ) -> tuple[Tensor, NetworkState | None]:
        """The output (B, outputs) for x_t ((B, inputs), or (B,) tokens), and the state."""
        self.require_causal("step")
        self.require_state(state, NetworkState)
        require_eval_to_step(self)
        if self.scale is not None:
            x_t = self.scale(x_t)
        before, read = (None, None) if state is None else state
        stream, after = self.backbone.step(x_t, before)
        out, read = self.head.step(stream, read)
        return out, None if after is None else NetworkState(after, read)


class Classifier(Network):
    r"""A network that names the class of a sequence: the head reads the mean over valid time.

    The logits of a step are those of the sequence read up to now.

    Args:
        block: makes one block from the width of the stream.
        inputs: channels of real input (B, T, inputs); not used with a vocabulary.
        classes: number of classes.
        vocabulary: number of tokens of integer input (B, T); None for real input.
        features: width D of the stream.
        depth: number of blocks; none only where there is a readout.
        readout: makes a last neuron, whose spikes then take the stream's place before the mean.

    Raises:
        ValueError: an argument is out of range, or the input has another shape or dtype.
        TypeError: an argument, the input or the state is of another type.

    >>> import torch
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
        if classes < 1:
            raise ValueError(f"classes must be at least 1, got {classes}")
        super().__init__(
            Backbone(
                block,
                inputs=inputs,
                vocabulary=vocabulary,
                features=features,
                depth=depth,
                readout=readout,
            ),
            MeanHead(features, classes),
        )
        self.classes = classes
