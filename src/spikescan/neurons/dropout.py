"""Dropout that does not hold a training up."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikescan.ops import dropout


class Dropout(nn.Dropout):
    """``torch.nn.Dropout``, computed by :func:`spikescan.ops.dropout` on the CPU.

    Args:
        p: probability of dropping a number, in training.

    Raises:
        ValueError: p is not within 0 .. 1.

    >>> Dropout(0.5).eval()(torch.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, p: float = 0.5) -> None:  # torch's inplace is not offered
        super().__init__(p)

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return input
        return dropout(input, _key(), self.p) if input.is_cpu else F.dropout(input, self.p)

    def unscaled(self, spikes: Tensor) -> tuple[Tensor, float]:
        """Spikes that stay what they are unless they are dropped, and the factor due to them.

        A product picks sums of weights for ones: there the factor is better the weight's.
        """
        if not (self.training and spikes.is_cpu and 0 < self.p < 1):
            return self(spikes), 1.0
        return dropout(spikes, _key(), self.p, scaled=False), 1 / (1 - self.p)


def _key() -> Tensor:
    """The next random key of torch's CPU generator."""
    return torch.randint(2**63 - 1, (1,))
