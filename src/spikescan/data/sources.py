"""Data sets on the disk: which are here, whether they are whole, how to get them.

The files of a data set live in ``<root>/<name>/``.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pooch

from spikescan.data.archive import extract
from spikescan.data.catalogue import SOURCES
from spikescan.data.root import ROOT_VARIABLE, DataError, data_root
from spikescan.data.source import File, Source


def find_source(name: str) -> Source:
    """Return the source of that name.

    Raises:
        DataError: No source has that name.

    >>> find_source("mnist").title
    'MNIST handwritten digits, 28x28'
    """
    for source in SOURCES:
        if source.name == name:
            return source
    known = ", ".join(source.name for source in SOURCES)
    raise DataError(f"unknown data set {name!r}; known are {known}")


def missing(source: Source, root: str | Path | None = None) -> list[Path]:
    """Return where files are expected but absent; empty for an embedded data set.

    Args:
        source: The data set.
        root: Data root, see :func:`~spikescan.data.root.data_root`.

    Raises:
        DataError: The folder cannot be read.
    """
    folder = data_root(root) / source.name
    try:
        absent = [folder / group[0] for group in source.brought if not _any(folder, group)]
        files = [folder / file.path for file in source.contents()]
        return absent + [path for path in files if not path.is_file()]
    except OSError as error:  # a folder that may not be read
        raise DataError(f"{source.name}: cannot read {folder}: {error}") from error


def require(source: Source, root: str | Path | None = None) -> Path:
    """Return the folder of a data set after the cheap checks: every file exists, sizes agree.

    Args:
        source: The data set.
        root: Data root, see :func:`~spikescan.data.root.data_root`.

    Raises:
        DataError: A file is absent or has the wrong size; it is named with its full path.
    """
    folder = data_root(root) / source.name
    absent = missing(source, root)
    if source.brought and absent:
        raise DataError(f"{source.name}: {absent[0]} is missing; {_bring(source, folder)}")
    if absent:
        raise DataError(
            f"{source.name}: {len(absent)} of {len(source.contents())} files are missing, the "
            f"first expected at {absent[0]}; {_advice(source)}"
        )
    for file in source.contents():
        path = folder / file.path
        if file.bytes is not None and (size := path.stat().st_size) != file.bytes:
            raise DataError(
                f"{source.name}: {path} has {size} bytes instead of {file.bytes}; {_advice(source)}"
            )
    return folder


def brought(name: str, root: str | Path | None = None, group: int = 0) -> Path:
    """Return what a user placed of a data set: the archive, or the file or folder out of it.

    Args:
        name: Name of the data set.
        root: Data root, see :func:`~spikescan.data.root.data_root`.
        group: Which of its ``brought`` groups is meant.

    Raises:
        DataError: It is not there; where to get it is told.
    """
    source = find_source(name)
    folder = require(source, root)
    return next(path for one in source.brought[group] if (path := folder / one).exists())


def verify(source: Source, root: str | Path | None = None) -> None:
    """Compare the checksum of every file of a data set.

    Args:
        source: The data set.
        root: Data root, see :func:`~spikescan.data.root.data_root`.

    Raises:
        DataError: Files are absent, or differ from the published ones; the first is named.
    """
    folder = require(source, root)
    wrong = [file for file in source.contents() if not _intact(folder / file.path, file)]
    if wrong:
        raise DataError(
            f"{source.name}: {len(wrong)} of {len(source.contents())} files differ from the "
            f"published ones (sha256), the first is {folder / wrong[0].path}; {_advice(source)}"
        )


def fetch(source: Source, root: str | Path | None = None, progress: bool = True) -> Path:
    """Download what is absent or damaged, and return the folder of the data set.

    Files that exist are checked and kept. New files are written to a temporary folder below the
    data root and move to their place only after all of them passed their checksum, so a failure
    leaves the folder of the data set as it was.

    Args:
        source: The data set. For an embedded one nothing is done.
        root: Data root, see :func:`~spikescan.data.root.data_root`; created when absent.
        progress: Show a progress bar.

    Raises:
        DataError: A download failed or did not have the expected content, the folder cannot be
            written, or the data set is one that users download themselves: where is told.
    """
    base = data_root(root)
    folder = base / source.name
    if source.brought:
        if missing(source, root):
            raise DataError(f"{source.name} is not downloaded for you: {_bring(source, folder)}")
        return folder
    wanted = [file for file in source.contents() if not _intact(folder / file.path, file)]
    if not wanted:
        return folder
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{source.name}-", dir=base) as name:
            staging = Path(name) / "files"
            if source.archive is None:
                for file in wanted:
                    _download(source, file.urls, file.sha256, staging / file.path, progress)
            else:
                packed = Path(name) / "archive"
                _download(source, source.archive.urls, source.archive.sha256, packed, progress)
                names = {file.path for file in wanted}
                extract(
                    packed,
                    staging,
                    names=names,
                    limit=source.archive.unpacked,
                    strip=source.archive.strip,
                )
            for file in wanted:
                if not _intact(staging / file.path, file):
                    raise DataError(
                        f"{source.name}: the download has no intact {file.path} (sha256 "
                        f"{file.sha256}); place it at {folder / file.path} by hand"
                    )
            # Downloads come with the mode of temporary files: nobody else could read a shared root.
            readable = staging.stat().st_mode & 0o666
            for file in wanted:
                target = folder / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                (staging / file.path).chmod(readable)
                os.replace(staging / file.path, target)
    except OSError as error:
        raise DataError(f"{source.name}: cannot write to {base}: {error}") from error
    return folder


def _advice(source: Source) -> str:
    return (
        f"run `spikescan data get {source.name}`, or point --data.root or {ROOT_VARIABLE} at a "
        f"folder that contains {source.name}/"
    )


def _any(folder: Path, names: tuple[str, ...]) -> bool:
    return any((folder / name).exists() for name in names)


def _bring(source: Source, folder: Path) -> str:
    # The publisher's file and what it unpacks to; other archives of it are read, not asked for.
    wanted = " and ".join(" or ".join({group[0]: 0, group[-1]: 0}) for group in source.brought)
    more = f" ({source.hint})" if source.hint else ""
    return (
        f"get the data from {source.homepage} and place {wanted} in {folder}{more}, or point "
        f"--data.root or {ROOT_VARIABLE} at a folder that contains {source.name}/"
    )


def _intact(path: Path, file: File) -> bool:
    """Say whether the file is there with the published content."""
    if not path.is_file():
        return False
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == file.sha256


def _download(
    source: Source, urls: tuple[str, ...], sha256: str | None, target: Path, progress: bool
) -> None:
    """Try the addresses in turn; what is left at `target` passed its checksum."""
    reasons: list[str] = []
    for url in urls:
        try:
            pooch.retrieve(
                url,
                known_hash=None if sha256 is None else f"sha256:{sha256}",
                fname=target.name,
                path=target.parent,
                progressbar=progress,
            )
            return
        except (ValueError, OSError) as error:  # a wrong checksum; anything about the network
            reasons.append(f"{url}: {' '.join(str(error).split())}")
    raise DataError(f"{source.name}: cannot download {target.name} ({'; '.join(reasons)})")
