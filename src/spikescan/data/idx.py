"""The IDX file format of MNIST."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikescan.data.root import DataError


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an array of unsigned bytes from a gzip-compressed IDX file.

    The format is: two zero bytes, the type of the values (8 for unsigned bytes), the number of
    dimensions, each dimension as a big-endian 32-bit integer, and the values in C order.

    Args:
        path: The ``.gz`` file.

    Raises:
        DataError: The file is absent, truncated, not gzip, or not an IDX file of bytes.
    """
    try:
        with gzip.open(path) as stream:
            content = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); fetch it anew") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{path} is not an IDX file of bytes: it begins with {content[:4].hex()}")
    dimensions = content[3]
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{path} ends within its header of {header} bytes")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise DataError(
            f"{path} holds {len(content)} bytes instead of {expected} for the shape {shape}"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
