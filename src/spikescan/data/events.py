"""Sequences of events, such as those of an event camera or of a silicon cochlea."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.memory import Sequences, check_sizes
from spikescan.data.root import DataError


class Events(NamedTuple):
    """Events of one recording, or of many end to end: when each came, and where.

    Attributes:
        time: Microseconds since the recording began (N,) int32, never falling.
        channel: Where it came from (N,) int32, such as polarity, row and column in one number.
    """

    time: NDArray[np.int32]
    channel: NDArray[np.int32]


class EventSequences(Sequences):
    """Recordings of events, counted in bins: x (B, T, channels) float32 with lengths.

    A step is either a stretch of time, in which the events of each channel are counted, or a
    number of events that follow each other, however long they take.

    Args:
        events: All recordings one after the other.
        sizes: Number of events of each (N,) int64, each at least 1.
        y: Targets (N, ...), such as classes (N,) int64.
        channels: Number of channels.
        max_length: Steps beyond this are cut off.
        step: Microseconds of a step; 0 to count events instead.
        count: Events of a step, where ``step`` is 0.

    Raises:
        ValueError: Neither or both of ``step`` and ``count`` are given, ``sizes`` are not those of
            ``events`` and ``y``, an event is in no channel, or comes before time 0 or before the
            event before it.
    """

    def __init__(
        self,
        events: Events,
        sizes: Tensor,
        y: Tensor,
        *,
        channels: int,
        max_length: int,
        step: int = 0,
        count: int = 0,
    ) -> None:
        if (step < 1) == (count < 1):
            raise ValueError(f"one of step and count must be at least 1, got {step} and {count}")
        check_sizes(sizes, len(events.time), len(y))
        ends = sizes.cumsum(0)
        self.starts = ends - sizes
        self.sizes = sizes
        self.time = torch.from_numpy(events.time)
        self.channel = torch.from_numpy(events.channel)
        if len(self.channel) != len(self.time):
            raise ValueError(
                f"events must have a channel each, got {len(self.channel)} for {len(self.time)}"
            )
        if len(y) and not 0 <= int(self.channel.min()) <= int(self.channel.max()) < channels:
            raise ValueError(
                f"events must be in channels 0 .. {channels - 1}, got "
                f"{int(self.channel.min())} .. {int(self.channel.max())}"
            )
        if len(y) and int(self.time.min()) < 0:
            raise ValueError(f"time must be at least 0, got {int(self.time.min())} us")
        falls = (self.time[1:] < self.time[:-1]).nonzero()[:, 0] + 1
        falls = falls[~torch.isin(falls, self.starts)]
        if len(falls):
            at = int(torch.searchsorted(ends, falls[0], right=True))
            raise ValueError(
                f"time must not fall within a recording, got {int(self.time[falls[0]])} us after "
                f"{int(self.time[falls[0] - 1])} us in recording {at}"
            )
        lengths = self.time[ends - 1].long() // step + 1 if step else -(-sizes // count)
        super().__init__(y, lengths.clamp(max=max_length))
        self.channels = channels
        self.step = step
        self.count = count

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        """Return these rows as a padded batch with ``lengths``; the epoch has no influence."""
        assert self.lengths is not None
        lengths = self.lengths[rows]
        steps = int(lengths.max())
        x = torch.zeros(len(rows) * steps * self.channels)
        for i, row in enumerate(rows.tolist()):
            first, size = int(self.starts[row]), int(self.sizes[row])
            if self.step:
                at = self.time[first : first + size].long() // self.step
            else:
                at = torch.arange(size) // self.count
            channel = self.channel[first : first + size].long()
            kept = at < steps
            place = (i * steps + at[kept]) * self.channels + channel[kept]
            x.index_add_(0, place, torch.ones(len(place)))
        return SequenceBatch(x.view(len(rows), steps, self.channels), self.y[rows], lengths)


def camera_events(
    time: NDArray[Any],
    polarity: NDArray[np.int32],
    row: NDArray[np.int32],
    column: NDArray[np.int32],
    *,
    name: str,
    size: int,
) -> Events:
    """Events of a file, in the channels (polarity * size + row) * size + column.

    Args:
        time: Microseconds of each event (N,).
        polarity: Of each event (N,), 1 for brighter.
        row: Of each event (N,).
        column: Of each event (N,).
        name: What to call the file in an error.
        size: Width and height of the sensor in pixels.

    Raises:
        DataError: An event is outside of the sensor, takes more than 31 bits for its time, or comes
            before the one before it.
    """
    if (wrong := np.flatnonzero((column >= size) | (row >= size))).size:
        at = int(wrong[0])
        raise DataError(
            f"{name}: event {at} is at column {column[at]}, row {row[at]}, outside of {size} x "
            f"{size} pixels"
        )
    if int(time.max()) >= 1 << 31:
        raise DataError(f"{name}: an event comes at a time of more than 31 bits")
    if (wrong := np.flatnonzero(np.diff(time) < 0)).size:
        at = int(wrong[0]) + 1
        raise DataError(f"{name}: event {at} comes at {time[at]} us, after one at {time[at - 1]}")
    return Events(time.astype(np.int32), (polarity * size + row) * size + column)


def read_bs2(content: bytes, name: str, size: int = 34) -> Events:
    """Read events of the N-MNIST format: of 40 bits each, two polarities at ``size`` x ``size``.

    An event is its column, its row, then one bit for its polarity (1 for brighter) and 23 bits for
    its time in microseconds, the first byte the highest. The channel is (polarity * size + row) *
    size + column.

    Args:
        content: The whole file.
        name: What to call the file in an error.
        size: Width and height of the sensor in pixels.

    Raises:
        DataError: It has no whole number of events, none at all, one outside of the sensor, or one
            that comes before the one before it.
    """
    if not content or len(content) % 5:
        raise DataError(f"{name} must hold events of 5 bytes each, got {len(content):,} bytes")
    raw = np.frombuffer(content, np.uint8).reshape(-1, 5).astype(np.int32)
    column, row, polarity = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
    time = ((raw[:, 2] & 127) << 16) | (raw[:, 3] << 8) | raw[:, 4]
    return camera_events(time, polarity, row, column, name=name, size=size)
