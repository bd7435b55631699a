"""A linear layer whose input is spikes."""

from __future__ import annotations

from torch import Tensor, nn

from spikescan import ops


class SpikeLinear(nn.Linear):
    """``torch.nn.Linear`` computed by :func:`spikescan.ops.spike_linear`.

    The same parameters and the same result; faster the fewer inputs are spikes, and with the same
    bits for a step, a chunk and a whole sequence.

    >>> import torch
    >>> layer = SpikeLinear(8, 4)
    >>> layer(torch.ones(2, 50, 8)).shape
    torch.Size([2, 50, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return ops.spike_linear(input, self.weight, self.bias)
