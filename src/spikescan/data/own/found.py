"""What was found in a person's files, and what is unlike it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from spikescan.data.own.items import Item, natural

_SHORT = 2
"""How many times shorter than any of training a sequence is when it is told."""


@dataclass(frozen=True)
class Found:
    """What was found in a person's files, kept with a run so that it can predict without them.

    Args:
        classes: Name of each class, in order.
        channels: Name of each channel.
        length: Samples of the longest sequence.
        rate: Samples in a second, Hz; None where none is known.
        shortest: Samples of the shortest sequence; None where that is not known.
        moving: Channels that stand still in no sequence.
    """

    classes: list[str]
    channels: list[str]
    length: int
    rate: float | None = None
    shortest: int | None = None
    moving: list[str] | None = None


def look_through(items: Sequence[Item]) -> Found:
    """What is found in sequences; the rate is the median of those that are known."""
    rates = sorted(item.rate for item in items if item.rate is not None)
    channels = items[0].channels
    kin = [item.values for item in items if item.channels == channels]
    return Found(
        classes=sorted({item.label or "" for item in items}, key=natural),
        channels=[*channels],
        length=max(len(item.values) for item in items),
        rate=rates[len(rates) // 2] if rates else None,
        shortest=min(len(item.values) for item in items),
        moving=[
            name
            for c, name in enumerate(channels)
            if not any(_still(values[:, c]) for values in kin)
        ],
    )


def unlike(name: str, values: Tensor, found: Found) -> list[str]:
    """What to say of a sequence (T, C) to predict from that is much shorter than those of training,
    or stands still where none of them does."""
    said: list[str] = []
    if found.shortest is not None and len(values) * _SHORT < found.shortest:
        said.append(
            f"{name} is {len(values):,} long, and the shortest of training {found.shortest:,}; is "
            "it cut off?"
        )
    moving = found.moving or []
    still = [n for c, n in enumerate(found.channels) if n in moving and _still(values[:, c])]
    if still and len(values) > 1:
        said.append(
            f"{name}: {', '.join(still)} is the same throughout, as in no sequence of training; is "
            "anything recorded?"
        )
    return said


def _still(values: Tensor) -> bool:
    there = values[values.isfinite()]
    return not len(there) or bool((there == there[0]).all())
