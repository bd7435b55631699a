"""How much a network fires while it is trained, and what pushes that down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from spikescan.data import SequenceBatch
from spikescan.neurons import Neuron
from spikescan.tasks.limits import within


@dataclass(frozen=True, kw_only=True)
class Firing:
    r"""Push the firing of a network down to a rate, by a term of the loss in training.

    .. math:: R = \frac{w}{L} \sum_{l=1}^{L} \max\!\left(0, \frac{r_l}{r} - 1\right)

    r_l is the number of spikes a step and neuron in layer l: the firing rate of binary neurons, the
    mean value of those that fire whole numbers, which is what a synapse adds. The gradient goes
    through the surrogate of each spike. Below r nothing is pushed.

    Args:
        rate: r, spikes a step and neuron; None leaves firing alone.
        weight: w.
        per: "layer", each layer of neurons comes to the rate; "network", the mean over all neurons
            does (L = 1), so that one layer may fire more where another fires less.

    Raises:
        ValueError: a number is out of range.
    """

    rate: float | None = None
    weight: float = 1.0
    per: Literal["layer", "network"] = "layer"

    def __post_init__(self) -> None:
        within(self, weight=(self.weight, 0, math.inf))
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ValueError(f"rate of Firing must be above 0, got {self.rate}")

    def term(self, layers: list[Layer]) -> Tensor:
        """R of what :func:`firing_of` found."""
        assert self.rate is not None
        rates = torch.stack([layer.rate for layer in layers])
        if self.per == "network":
            widths = rates.new_tensor([layer.neurons for layer in layers])
            rates = (rates * widths).sum() / widths.sum()
        return self.weight * (rates / self.rate - 1).relu().mean()


@dataclass(frozen=True)
class Layer:
    """What a layer of neurons fired."""

    rate: Tensor
    """Spikes a valid step and neuron, with their gradient."""
    neurons: int


@contextmanager
def listening(model: nn.Module, hear: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Hear the path of each layer of neurons and its spikes, whenever it runs inside."""

    def told(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, out: hear(name, out[0])

    hooks = [
        module.register_forward_hook(told(name))
        for name, module in model.named_modules()
        if isinstance(module, Neuron)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def firing_of(model: nn.Module, batch: SequenceBatch) -> Iterator[list[Layer]]:
    """What each layer of neurons fires while the model runs on a batch inside."""
    found: list[Layer] = []
    rows, steps = batch.x.shape[:2]
    valid = rows * steps if batch.lengths is None else int(batch.lengths.sum())

    def keep(_: str, spikes: Tensor) -> None:
        # Beyond a row's length nothing fires. A convolution has a row for each pixel.
        count = max(1, valid * (len(spikes) // max(1, rows))) * spikes.shape[-1]
        found.append(Layer(spikes.sum(dtype=torch.float32) / count, spikes.shape[-1]))

    with listening(model, keep):
        yield found
