"""What compares two sequences that went through one network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Comparison(nn.Module):
    r"""Logits for pairs of vectors, from both, their product and their difference.

    .. math:: y = W_2 \max(0, W_1 [u, v, u \odot v, u - v] + b_1) + b_2

    Args:
        features: width D of the vectors, and of what is hidden.
        classes: numbers of the output.

    Raises:
        ValueError: there is not an even number of vectors.

    Source: what Long Range Arena (Tay et al. 2020, arXiv 2011.04006) puts on both documents of its
    retrieval task, there called the "NLI" interaction.

    >>> Comparison(8, 2)(torch.randn(6, 8)).shape
    torch.Size([3, 2])
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(4 * features, features)
        self.linear = nn.Linear(features, classes)

    def forward(self, both: Tensor) -> Tensor:
        """Logits (B, classes) for vectors (2B, D), of which rows 2i and 2i + 1 are a pair."""
        if len(both) % 2:
            raise ValueError(f"pairs need an even number of sequences, got {len(both)}")
        u, v = both[0::2], both[1::2]
        return self.linear(self.hidden(torch.cat((u, v, u * v, u - v), -1)).relu())
