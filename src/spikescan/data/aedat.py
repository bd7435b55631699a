"""Event cameras' recordings in the format AEDAT 3.1."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from spikescan.data.events import Events, camera_events
from spikescan.data.root import DataError

_HEAD = struct.Struct("<HHiiiiii")
"""Of a packet: type, source, bytes of an event, offset of its time, overflows of the time, room,
events, valid events."""
_POLARITY = 1
_BYTES = 8


def read_aedat(content: bytes, name: str, size: int) -> Events:
    """Read the polarity events of an AEDAT 3.1 file, of two polarities at ``size`` x ``size``.

    After lines of text that begin with ``#``, the last one ``#!END-HEADER``, packets follow each
    other: a head of 28 bytes and events of one kind, all numbers the lowest byte first. A polarity
    event is 4 bytes, from the lowest bit on: valid, polarity (1 for brighter), 15 bits for the row
    and 15 for the column; and 4 bytes for the time in microseconds. Other kinds, and events marked
    as not valid, are passed over. Time counts from the start of the file's clock. The channel is
    (polarity * size + row) * size + column.

    Args:
        content: The whole file.
        name: What to call the file in an error.
        size: Width and height of the sensor in pixels.

    Raises:
        DataError: It is another format, is cut off, has no events, one outside of the sensor, one
            that comes before the one before it, or a clock that ran over.
    """
    if not content.startswith(b"#!AER-DAT3.1"):
        raise DataError(f"{name} must be of the format AEDAT 3.1, begins with {content[:12]!r}")
    end = content.find(b"#!END-HEADER")
    at = content.find(b"\n", end) + 1
    if end < 0 or at < 1:
        raise DataError(f"{name} is cut off in its header")
    found: list[NDArray[np.uint32]] = []
    while at < len(content):
        if at + _HEAD.size > len(content):
            raise DataError(f"{name} is cut off at byte {at:,}, in the head of a packet")
        kind, _, width, _, overflows, _, count, _ = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        stop = at + width * count
        if width < 1 or count < 0 or stop > len(content):
            raise DataError(
                f"{name} is cut off or damaged at byte {at:,}: a packet of {count} events of "
                f"{width} bytes"
            )
        if kind == _POLARITY:
            if width != _BYTES:
                raise DataError(f"{name}: polarity events must have 8 bytes, got {width}")
            if overflows:
                raise DataError(f"{name}: the clock of microseconds ran over at byte {at:,}")
            found.append(np.frombuffer(content, "<u4", 2 * count, at).reshape(count, 2))
        at = stop
    words = np.concatenate(found) if found else np.zeros((0, 2), np.uint32)
    words = words[words[:, 0] & 1 == 1]
    if not len(words):
        raise DataError(f"{name} has no polarity events")
    address, time = words[:, 0], words[:, 1].astype(np.int64)
    column, row = (address >> 17).astype(np.int32), (address >> 2 & 0x7FFF).astype(np.int32)
    polarity = (address >> 1 & 1).astype(np.int32)
    return camera_events(time, polarity, row, column, name=name, size=size)
