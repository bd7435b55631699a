"""Where data sets live, and the one error raised when they do not."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pooch

ROOT_VARIABLE = "SPIKESCAN_DATA"


class DataError(RuntimeError):
    """A data set is missing, damaged or cannot be downloaded; one line says what to do.

    Args:
        message: the line.
        option: its end, where that names an option by which training would take the data. Who
            has a trained network alone can give none.
    """

    def __init__(self, message: str, option: str = "") -> None:
        super().__init__(message + option)
        self.option = option


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder that holds one sub-folder for each data set.

    The folder is not created and need not exist.

    Args:
        root: The folder to use. Without it the environment variable ``SPIKESCAN_DATA`` decides,
            and without that the cache folder of the operating system.

    >>> data_root("/data").as_posix()
    '/data'
    """
    if root is not None:
        return Path(root).expanduser()
    # An empty variable means "not set", as for most Unix tools.
    if named := os.environ.get(ROOT_VARIABLE):
        return Path(named).expanduser()
    return Path(pooch.os_cache("spikescan"))


def find_file(path: str, root: str | Path | None = None) -> Path:
    """Return the file of that path, from the current folder or below the data root.

    Raises:
        DataError: There is none.
    """
    places = (Path(path).expanduser(), data_root(root) / path)
    for place in places:
        if place.is_file():
            return place
    raise DataError(f"no file {path}: looked for {' and '.join(map(str, places))}")


def content_of(file: Path) -> str:
    """A word that tells a file's content: the start of its sha256."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return f"sha256 {digest.hexdigest()[:16]}"
