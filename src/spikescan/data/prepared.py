"""Data in a compact form, kept so that archives are unpacked and sequences generated once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pooch
from numpy.typing import NDArray

CACHE_VARIABLE = "SPIKESCAN_CACHE"

Arrays = dict[str, NDArray[Any]]


def prepared(name: str, key: Sequence[object], make: Callable[[], Arrays]) -> Arrays:
    """Return arrays by name: those kept under this key, or else made now and kept.

    They are kept in the folder that the environment variable ``SPIKESCAN_CACHE`` names, else in
    the user's cache folder. Where that cannot be written they are made each time, with a warning.
    A kept file that is damaged is made anew.

    Args:
        name: Of the data set.
        key: All that the arrays depend on, the version of their format included. The path of a
            file stands for its size and the time of its last change too.
        make: Reads or generates the arrays.
    """
    digest = hashlib.sha256(repr([_identity(part) for part in key]).encode()).hexdigest()[:24]
    named = os.environ.get(CACHE_VARIABLE)
    base = Path(named).expanduser() if named else Path(pooch.os_cache("spikescan")) / "prepared"
    folder = base / f"{name}-{digest}"
    if folder.is_dir():
        with contextlib.suppress(OSError, ValueError, EOFError):  # damaged: made anew below
            return _load(folder)
    arrays = make()
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=base) as staging:
            made = Path(staging) / "made"
            made.mkdir()
            for field, array in arrays.items():
                np.save(made / f"{field}.npy", array, allow_pickle=False)
            # Others see the whole folder or none; a damaged one goes, with what we staged.
            if folder.is_dir():
                os.replace(folder, Path(staging) / "old")
            with contextlib.suppress(FileExistsError, OSError):  # one beside us was first
                os.replace(made, folder)
        return _load(folder)
    except (OSError, ValueError, EOFError) as error:
        warnings.warn(
            f"{name} is prepared anew each time, for {base} cannot be written ({error}); "
            f"set {CACHE_VARIABLE} to another folder",
            stacklevel=2,
        )
    return arrays


def _load(folder: Path) -> Arrays:
    # Read as it is used, and shared by the processes that prepare batches. Copied where it is
    # written, which nobody does: torch warns of arrays that cannot be.
    return {
        path.stem: np.load(path, mmap_mode="c", allow_pickle=False)
        for path in sorted(folder.glob("*.npy"))
    }


def _identity(part: object) -> object:
    if not isinstance(part, Path):
        return part
    told = part.stat()
    return str(part.resolve()), told.st_size, told.st_mtime_ns
