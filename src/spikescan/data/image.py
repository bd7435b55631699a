"""Image files, for networks that were trained on images to predict from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikescan.data.root import DataError

_MODES = ("1", "L", "P", "RGB")


def read_image(file: Path, side: int, *, grey: bool) -> NDArray[np.uint8]:
    """The pixels of an image file, (side, side) if grey, else (side, side, 3).

    Colours become grey by ITU-R 601, as pillow does it: the data sets' own images do too.

    Raises:
        DataError: The file is no image, of another size, moving, transparent or deeper than 8 bits.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            if image.size != (side, side):
                raise DataError(
                    f"{file} must be {side} x {side} pixels, as the network learned from, is "
                    f"{image.width} x {image.height}"
                )
            if getattr(image, "n_frames", 1) > 1:
                raise DataError(f"{file} has {image.n_frames} images; name one image a file")
            if image.mode not in _MODES or "transparency" in image.info:
                raise DataError(
                    f"{file} must be grey or RGB of 8 bits and not transparent, has mode "
                    f"{image.mode}"
                )
            return np.array(image.convert("L" if grey else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file} is not a readable image: {error}") from error


def bright_edge(image: NDArray[np.uint8]) -> bool:
    """Whether the outermost pixels of a grey image are rather bright than dark."""
    edge = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    return bool(edge.mean() > 127.5)
