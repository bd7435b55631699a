"""The MATLAB 4 file format, as far as records of PhysioNet use it."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from spikescan.data.root import DataError

_INT16 = 30  # little endian, whole numbers of 16 bits, a full matrix


def read_matlab4(content: bytes, name: str) -> NDArray[np.int16]:
    """Read a MATLAB 4 file of one matrix of 16-bit whole numbers, int16 (columns, rows).

    The format is: type, rows, columns, 1 for complex values and the length of the matrix's name,
    each as a little-endian 32-bit integer; the name with a zero byte at its end; and the values
    column by column.

    Args:
        content: The whole file.
        name: What to call the file in an error.

    Raises:
        DataError: It is not such a file, or shorter or longer than it says.
    """
    if len(content) < 20:
        raise DataError(f"{name} is truncated: {len(content)} bytes, its header alone has 20")
    kind, rows, columns, imaginary, letters = struct.unpack("<5i", content[:20])
    if (kind, imaginary) != (_INT16, 0) or min(rows, columns, letters) < 1 or letters > 64:
        raise DataError(
            f"{name} is not a MATLAB 4 file of 16-bit numbers: its header is "
            f"{(kind, rows, columns, imaginary, letters)}"
        )
    expected = 20 + letters + 2 * rows * columns
    if len(content) != expected:
        raise DataError(
            f"{name} holds {len(content):,} bytes instead of {expected:,} for {rows} x {columns} "
            "values"
        )
    values = np.frombuffer(content, dtype="<i2", offset=20 + letters).astype(np.int16)
    return values.reshape(columns, rows)
