"""Weights of 8 bits for what spikes drive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from spikescan.models.walk import INPUT
from spikescan.stream.records import SMALL, Record, Synapse, Synapse8

_CLIPS = tuple(1 - 0.04 * i for i in range(13))
"""Shares of a channel's largest weight that may become the largest integer."""


@torch.no_grad()
def quantized(records: Iterable[Record], values: Mapping[str, Tensor]) -> tuple[Record, ...]:
    """The records, with integers of 8 bits where rows are added up: see :meth:`Program.quantize`.

    Args:
        records: of a program.
        values: of every record on the calibration data (B, T, D), by its name.
    """
    return tuple(
        _rounded(record, values[record.inputs[0]])
        if isinstance(record, Synapse) and record.source != "real" and record.inputs[0] != INPUT
        else record
        for record in records
    )


def _rounded(record: Synapse, spikes: Tensor) -> Synapse8:
    """Integers whose sums over these spikes are nearest to those of the weights."""
    s = spikes.flatten(0, -2).double()
    together, mean = s.T @ s / len(s), s.mean(0)
    weight = record.weight.double()
    largest = weight.abs().amax(1, keepdim=True)
    best = torch.full((len(weight),), torch.inf, dtype=torch.float64)
    scale, integers = torch.ones(len(weight)), torch.zeros_like(weight)
    for clip in _CLIPS:
        tried = torch.where(largest > 0, clip * largest / 127, 1).float()
        rounded = (weight / tried).round().clamp(-127, 127)
        off = weight - tried * rounded
        # Errors of the sums, squared, over the calibration data.
        error = ((off @ together) * off).sum(1)
        better = error < best
        best = torch.where(better, error, best)
        scale = torch.where(better, tried.squeeze(1), scale)
        integers = torch.where(better[:, None], rounded, integers)
    # What rounding adds on average is taken out again.
    bias = record.bias.double() + (weight - scale[:, None] * integers) @ mean
    return Synapse8(
        record.name,
        record.inputs,
        record.width,
        weight=integers.to(torch.int8),
        scale=scale,
        bias=torch.where(bias.abs() < SMALL, 0, bias).float(),
        source="whole" if record.source == "whole" else "binary",
        levels=record.levels,
    )
