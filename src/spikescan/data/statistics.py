"""Mean and standard deviation of the channels of sequences."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.data.memory import Sequences
from spikescan.data.root import DataError

_ROWS = 64
"""Sequences that are looked at together; the sums are of one precision for any number."""


def statistics(data: Sequences, names: tuple[str, ...] | None = None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (D,) float32 of each channel over all valid steps.

    Augmented sequences are taken as the first epoch has them. A last step that may be filled up
    with zeros is left out, unless it is the only one.

    Args:
        data: Real-valued sequences.
        names: Name of each channel, for the message.

    Raises:
        DataError: The sequences are tokens, there are none, or a value is not finite.
    """
    count, mean, spread = 0, torch.zeros(()), torch.zeros(())
    for rows in torch.arange(len(data)).split(_ROWS):
        batch = data.batch(rows, 0)
        if not batch.x.is_floating_point():
            raise DataError(f"tokens have no mean to scale them by, got {batch.x.dtype}")
        x = batch.x.flatten(0, 1)
        if batch.lengths is not None:
            counted = (batch.lengths - int(data.filled)).clamp(min=1)
            x = x[(torch.arange(batch.x.shape[1]) < counted[:, None]).flatten()]
        x = x.double()
        own = x.mean(0)
        # Chan et al. 1979: what was summed about one mean is moved to that of all.
        total = count + len(x)
        spread = spread + (x - own).square().sum(0) + (own - mean).square() * count * len(x) / total
        mean = mean + (own - mean) * len(x) / total
        count = total
    if not count:
        raise DataError("there are no training data to measure mean and standard deviation of")
    std = (spread / count).sqrt()
    for i, good in enumerate((mean.isfinite() & std.isfinite()).tolist()):
        if not good:
            name = f"{names[i]!r}" if names is not None else f"{i}"
            raise DataError(f"channel {name} of the training data holds NaN or infinity")
    return mean.float(), std.float()
