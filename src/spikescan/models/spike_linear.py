"""Linear layers whose sums have an order of their own: of spikes, and of numbers before spikes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikescan import ops
from spikescan.neurons.dropout import Dropout


class SpikeLinear(nn.Linear):
    r"""``torch.nn.Linear`` computed by :func:`spikescan.ops.spike_linear`.

    .. math:: y = \alpha W s + b

    The same parameters and the same result; faster the fewer inputs are spikes, and with the same
    bits for a step, a chunk and a whole sequence.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        bias: add b.
        scaled: train one positive α, the size of all spikes, as the logarithm ``log_scale``, 0 at
            the start. It is a factor of the weight, so that spikes stay 0 or 1. Otherwise α is 1.
        dropout: probability of dropping a spike, in training. The factor of those that stay, too,
            is one of the weight.
        device: that of the parameters.
        dtype: that of the parameters.

    >>> layer = SpikeLinear(8, 4)
    >>> layer(torch.ones(2, 50, 8)).shape
    torch.Size([2, 50, 4])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        scaled: bool = False,
        dropout: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            in_features, out_features, bias, device, dtype
        )
        self.log_scale = (
            nn.Parameter(torch.zeros((), device=device, dtype=dtype)) if scaled else None
        )
        self.dropout = Dropout(dropout)

    @property
    def matrix(self) -> Tensor:
        """What spikes are multiplied with, α W (out_features, in_features)."""
        return self.weight if self.log_scale is None else self.log_scale.exp() * self.weight

    def extra_repr(self) -> str:
        scaled = "" if self.log_scale is None else ", scaled=True"
        return super().extra_repr() + scaled

    def forward(self, input: Tensor) -> Tensor:
        spikes, factor = self.dropout.unscaled(input)
        matrix = self.matrix if factor == 1 else factor * self.matrix
        return ops.spike_linear(spikes, matrix, self.bias)


class SteadyLinear(nn.Linear):
    """``torch.nn.Linear`` of real numbers, computed by :func:`spikescan.ops.spike_linear`.

    The same parameters and the same result but for rounding: a dense product may add in another
    order for another number of rows, this one never does. It stands where neurons fire on what
    comes out, so that a step has the spikes of the whole sequence.

    >>> layer, x = SteadyLinear(40, 4), torch.randn(200, 40)
    >>> torch.equal(layer(x[:1]), layer(x)[:1])
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        return ops.spike_linear(input, self.weight, self.bias)
