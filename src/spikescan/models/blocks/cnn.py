"""An encoder of frames: spiking convolutions, and what they see as a stream."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from spikescan.models.blocks.base import Encoder, check_stream, row_keys
from spikescan.models.blocks.conv import SpikingConv
from spikescan.models.norm import NormKind, without_padding
from spikescan.models.spike_linear import SpikeLinear
from spikescan.models.walk import Trail
from spikescan.neurons import LIF, Neuron
from spikescan.neurons.dynamics import told
from spikescan.ops._core import validate


class SpikingCNNState(NamedTuple):
    """State of :class:`SpikingCNN`."""

    layers: tuple[Any, ...]
    """That of each convolution's neurons."""


class SpikingCNN(Encoder):
    r"""Spiking convolutions of the frame of each step, then a linear map of their spikes.

    .. math::
        s^0 = \mathrm{image}(x), \qquad
        s^{l} = \mathrm{Neuron}(\mathrm{Norm}(\mathrm{Conv2d}(s^{l-1}))), \qquad
        z = \mathrm{Linear}(\mathrm{flat}(s^L))

    The channels of a step are an image, in order of its channels, rows and columns, as the event
    cameras of :mod:`spikescan.data` give them. Neurons run over time on each pixel, see
    :class:`SpikingConv`. With ``Backbone(encoder=..., depth=0)`` this is the whole spiking
    convolutional network; blocks may follow. It is neither folded nor exported.

    Args:
        features: width D of the stream.
        image: channels, height and width of a frame.
        channels: channels of each convolution's output.
        neuron: makes the neurons from their width; any neuron of the library.
        kernel: height and width of the windows, in pixels.
        stride: pixels between windows, in every convolution.
        norm: normalisation before the neurons.

    Raises:
        ValueError: an argument is out of range, or an input has another number of channels.

    Source: convolutional networks of Huang et al. 2026 (arXiv 2602.01133), in which their neuron
    is compared with others; sizes are our own.

    >>> from spikescan import DSN
    >>> encoder = SpikingCNN(32, image=(2, 17, 17), neuron=DSN)
    >>> stream, state = encoder(torch.rand(3, 10, 578))
    >>> stream.shape
    torch.Size([3, 10, 32])
    """

    def __init__(
        self,
        features: int,
        *,
        image: tuple[int, int, int],
        channels: tuple[int, ...] = (16, 32),
        neuron: Callable[[int], Neuron] = LIF,
        kernel: int = 3,
        stride: int = 2,
        norm: NormKind = "batch",
    ) -> None:
        if len(image) != 3 or min(image) < 1:
            raise ValueError(f"image must be channels, height and width, got {image}")
        if not channels or min(channels) < 1:
            raise ValueError(f"channels must be at least 1 of each layer, got {channels}")
        super().__init__(prod(image), features)
        self.image: tuple[int, int, int] = image
        self.layers = nn.ModuleList(
            SpikingConv(*sizes, neuron=neuron, kernel=kernel, stride=stride, norm=norm)
            for sizes in pairwise((image[0], *channels))
        )
        sides = image[1:]
        for _ in channels:
            sides = tuple((side + 2 * (kernel // 2) - kernel) // stride + 1 for side in sides)
        self.linear = SpikeLinear(channels[-1] * prod(sides), features)

    def extra_repr(self) -> str:
        return told(image=self.image)

    def parts(self, trail: Trail, x: str) -> str:
        x = trail.view("frames", x, self.image)
        for i in range(len(self.layers)):
            inner = trail.into(f"layers.{i}")
            x = cast(SpikingConv, self.layers[i]).parts(inner, x, spikes=i > 0)
        return trail.synapse("linear", trail.view("flat", x, None))

    def forward(
        self,
        x: Tensor,
        state: SpikingCNNState | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | Tensor | None = None,
    ) -> tuple[Tensor, SpikingCNNState | None]:
        check_stream(x, self.inputs)
        self.require_state(state, SpikingCNNState)
        lengths = validate.valid_lengths(lengths, x)
        keys = row_keys(x, state, generator, *self.layers)
        s = without_padding(x, lengths).reshape(*x.shape[:2], *self.image)
        after: list[Any] = []
        for i, module in enumerate(self.layers):
            layer = cast(SpikingConv, module)
            before = None if state is None else state.layers[i]
            s, new = layer(s, before, lengths, **keys[i])
            after.append(new)
        return self.linear(s.flatten(2)), SpikingCNNState(tuple(after)) if self.causal else None
