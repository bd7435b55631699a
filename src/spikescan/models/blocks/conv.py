"""A spiking convolution for images over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spikescan.models.blocks.base import require_eval_to_step, row_keys
from spikescan.models.norm import NormKind, inside, make_norm
from spikescan.models.walk import Trail
from spikescan.neurons import LIF, Neuron
from spikescan.neurons.base import Recurrent, make_part
from spikescan.ops._core import validate
from spikescan.ops.bernoulli import split_keys


class SpikingConvState(NamedTuple):
    """State of :class:`SpikingConv`."""

    neuron: Any
    """That of the neurons, with B H' W' rows: row (b H' + i) W' + j is pixel (i, j) of image b."""


class SpikingConv(Recurrent):
    r"""Convolve each image, then let every pixel and channel fire over time.

    .. math:: s = \mathrm{Neuron}(\mathrm{Norm}(\mathrm{Conv2d}(x)))

    The convolution sees the images of all steps as one batch. Neurons then run over time on each
    pixel: they get (B H' W', T, C'), channels last, so that a neuron's parameters belong to a
    channel and are shared by all pixels, as the convolution's weights are.

    ``out, state = m(x, state, lengths)`` runs x (B, T, C, H, W), ``out_t, state = m.step(x_t,
    state)`` one step x_t (B, C, H, W), both with the contract of neurons. An image without motion
    is repeated T times.

    Args:
        inputs: channels C of the input.
        features: channels C' of the output.
        neuron: makes the neuron from its width; any neuron of the library.
        kernel: height and width of the convolution's window, in pixels.
        stride: pixels between windows.
        padding: pixels of zeros around the image; by default ``kernel // 2``, which keeps the size
            of the image for an odd kernel and stride 1.
        norm: normalisation before the neuron. "batch" is over batch, time and pixels.

    Raises:
        ValueError: an argument is out of range, an input has another shape, or a neuron that reads
            the future gets a state or a step.

    >>> from spikescan import PRF
    >>> layer = SpikingConv(2, 4, neuron=PRF, stride=2)
    >>> spikes, state = layer(torch.rand(3, 10, 2, 8, 8))
    >>> spikes.shape, state.neuron.u.shape
    (torch.Size([3, 10, 4, 4, 4]), torch.Size([48, 4]))
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        *,
        neuron: Callable[[int], Neuron] = LIF,
        kernel: int = 3,
        stride: int = 1,
        padding: int | None = None,
        norm: NormKind = "batch",
    ) -> None:
        super().__init__()
        for name, value in (
            ("inputs", inputs), ("features", features), ("kernel", kernel), ("stride", stride)
        ):  # fmt: skip
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if padding is not None and padding < 0:
            raise ValueError(f"padding must not be negative, got {padding}")
        self.inputs, self.features = inputs, features
        self.conv = nn.Conv2d(
            inputs,
            features,
            kernel,
            stride=stride,
            padding=kernel // 2 if padding is None else padding,
            # Batch normalisation subtracts any bias again.
            bias=norm != "batch",
        )
        self.norm = make_norm(norm, features)
        self.neuron = make_part("neuron", neuron, features, Neuron)

    def parts(self, trail: Trail, x: str, *, spikes: bool = False) -> str:
        """Add what the layer computes of images, or of spikes, to a trail, see
        :func:`~spikescan.models.walk`."""
        maps = trail.synapse("conv", x) if spikes else trail.dense("conv", x)
        return trail.neurons("neuron", trail.norm("norm", maps))

    def forward(
        self,
        x: Tensor,
        state: SpikingConvState | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | Tensor | None = None,
    ) -> tuple[Tensor, SpikingConvState | None]:
        """Run images x (B, T, C, H, W) from ``state``; return spikes (B, T, C', H', W') and state.

        With ``lengths`` (B,), row i is run for its first ``lengths[i]`` steps; its spikes beyond
        them are zero and its state is the one it had there. Neurons that fire at random draw for
        each pixel; an image at rest takes their keys from ``generator``, or has them given
        (B, random_keys).
        """
        validate.tensor("x", x)
        if x.ndim != 5 or x.shape[2] != self.inputs:
            raise ValueError(f"x must have shape (B, T, {self.inputs}, H, W), got {tuple(x.shape)}")
        self.require_state(state, SpikingConvState)
        lengths = validate.valid_lengths(lengths, x)
        batch, steps = x.shape[:2]
        if lengths is not None:
            # Padding may hold NaN, and a zero gradient times NaN is NaN.
            x = torch.where(inside(lengths, steps)[..., None, None], x, 0)
        maps = self.conv(x.flatten(0, 1))
        height, width = maps.shape[2:]
        lanes = maps.unflatten(0, (batch, steps)).permute(0, 3, 4, 1, 2).flatten(0, 2)
        rows = None if lengths is None else lengths.repeat_interleave(height * width)
        (own,) = row_keys(x, state, generator, self.neuron)
        own = {name: split_keys(keys, height * width).flatten(0, 1) for name, keys in own.items()}
        spikes, after = self.neuron(
            self.norm(lanes, rows), None if state is None else state.neuron, rows, **own
        )
        out = spikes.unflatten(0, (batch, height, width)).permute(0, 3, 4, 1, 2)
        return out, SpikingConvState(after) if self.causal else None

    def step(
        self, x_t: Tensor, state: SpikingConvState | None = None
    ) -> tuple[Tensor, SpikingConvState | None]:
        """Run one step x_t (B, C, H, W) from ``state``; return spikes (B, C', H', W') and state."""
        require_eval_to_step(self)
        return super().step(x_t, state)
