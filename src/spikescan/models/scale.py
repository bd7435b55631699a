"""Shifting and scaling the input of a network by what its training data measure."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.models.walk import Trail
from spikescan.neurons.dynamics import Dynamics
from spikescan.ops._core import validate


class Scale(Dynamics):
    r"""Shift and scale each channel to mean 0 and standard deviation 1, as measured before.

    .. math:: y_{td} = \frac{x_{td} - \mu_d}{\sigma_d}

    It is the first part of a :class:`~spikescan.models.Network`, saved with it, and not trained:
    what the network is given afterwards is in the unit of the data, whatever it was trained on.
    A channel whose σ is 0 is only shifted.

    Args:
        mean: μ (D,), in the unit of the data.
        std: σ (D,), in the unit of the data.

    Raises:
        ValueError: the values are not finite, not as many, or a σ is negative.

    >>> scale = Scale(torch.tensor([1.0, 10.0]), torch.tensor([1.0, 2.0]))
    >>> scale(torch.tensor([[[2.0, 14.0]]])).tolist()
    [[[1.0, 2.0]]]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.features = len(mean)
        self.register_buffer("mean", torch.zeros(len(mean)))
        self.register_buffer("std", torch.ones(len(mean)))
        self.set(mean, std)

    @torch.no_grad()
    def set(self, mean: Tensor, std: Tensor) -> None:
        """Take other values, see the class."""
        for name, value in (("mean", mean), ("std", std)):
            if value.shape != (self.features,):
                raise ValueError(
                    f"{name} must have shape ({self.features},), got {tuple(value.shape)}"
                )
            if not value.is_meta and not bool(value.isfinite().all()):
                raise ValueError(f"{name} must be finite, got {value}")
        if not std.is_meta and bool((std < 0).any()):
            raise ValueError(f"std must be at least 0, got {std}")
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, 1))

    def parts(self, trail: Trail, x: str, word: str) -> str:
        """Add the scaling to a trail, see :func:`~spikescan.models.walk`."""
        return trail.affine(word, x, *self.affine())

    def affine(self) -> tuple[Tensor, Tensor]:
        """Gain a and bias b (D,) of the same: y = a ⊙ x + b."""
        gain = self.std.reciprocal()
        return gain, -self.mean * gain

    def forward(self, x: Tensor) -> Tensor:
        """Scale sequences x (B, T, D), or one step (B, D)."""
        validate.tensor("x", x)
        if x.ndim < 1 or x.shape[-1] != self.features:
            raise ValueError(f"x must have shape (..., {self.features}), got {tuple(x.shape)}")
        if not x.is_floating_point():
            raise TypeError(f"x must be floating-point, got {x.dtype}")
        gain, bias = self.affine()
        # Wide, for what is far from zero has no digits left in half precision.
        return (x * gain + bias).to(x.dtype)
