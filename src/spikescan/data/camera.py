"""What the data of event cameras share: pixels that become channels, events that become steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from spikescan.data.events import Events, EventSequences
from spikescan.data.facts import Classes, Facts
from spikescan.data.module import at_least
from spikescan.data.prepared import Arrays


@dataclass(frozen=True, kw_only=True)
class Camera:
    """How the events of a square camera are counted.

    Args:
        size: Width and height of the sensor in pixels.
        step: Microseconds of a step, whose events are counted; 0 to count events instead.
        count: Events of a step where ``step`` is 0.
        pool: Pixels of a square that are one channel, in each direction.

    Raises:
        ValueError: An argument is out of range.
    """

    size: int
    step: int
    count: int
    pool: int

    def __post_init__(self) -> None:
        at_least("step", self.step, 0)
        at_least("count", self.count, 0)
        if (self.step > 0) == (self.count > 0):
            raise ValueError(
                f"one of step and count must be positive, got {self.step} and {self.count}"
            )
        at_least("pool", self.pool, 1)

    @property
    def side(self) -> int:
        """Width and height in channels."""
        return -(-self.size // self.pool)

    def facts(self, names: tuple[str, ...], length: int) -> Facts:
        """A channel for each polarity and pixel, or square of pixels: darker ones first."""
        return Facts(
            Classes(names),
            length=length,
            inputs=2 * self.side**2,
            rate=1e6 / self.step if self.step else None,
        )

    def sequences(self, kept: Arrays, length: int) -> EventSequences:
        """Recordings of at most ``length`` steps from their ``time``, ``channel`` (of single
        pixels), ``sizes`` and ``y``."""
        polarity, pixel = np.divmod(kept["channel"], self.size**2)
        row, column = np.divmod(pixel, self.size)
        channel = (polarity * self.side + row // self.pool) * self.side + column // self.pool
        return EventSequences(
            Events(kept["time"], channel.astype(np.int32)),
            torch.from_numpy(kept["sizes"]),
            torch.from_numpy(kept["y"]),
            channels=2 * self.side**2,
            max_length=length,
            step=self.step,
            count=self.count,
        )
