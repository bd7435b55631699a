"""Unpacking of downloaded archives, without trust in the names they contain."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from spikescan.data.root import DataError

_PIECE = 1 << 20
# zipfile raises RuntimeError for a member that is encrypted or packed in an unknown way.
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, RuntimeError
)  # fmt: skip


def extract(
    archive: Path, into: Path, *, names: Collection[str], limit: int, strip: int = 0
) -> None:
    """Unpack the named regular files of a tar or zip archive.

    Names are POSIX paths as they read after ``strip`` leading folders are removed. Members that
    are not named, links and devices are passed over: they are never created.

    Args:
        archive: A ``.zip``, or a ``.tar`` with any compression of the standard library.
        into: Folder to write to; created when absent.
        names: The paths to unpack. A name that the archive lacks is not an error here.
        limit: Bytes that all unpacked files may have together: a small archive can hold more than
            a disk.
        strip: Number of leading folders to remove from each member's name.

    Raises:
        DataError: A member's name is absolute or climbs out of its folder (whether it was asked
            for or not), the archive is damaged or encrypted, or it holds more than ``limit``.
    """
    left = limit
    try:
        members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
        for name, stream in members(archive):
            parts = _parts(name, archive)[strip:]
            if "/".join(parts) not in names:
                continue
            target = into.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                while piece := stream.read(_PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise DataError(
                            f"{archive.name} is refused: it holds more than the {limit:,} bytes "
                            f"that are expected, {name} among them"
                        )
                    out.write(piece)
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(f"{archive.name} is damaged or not an archive: {error}") from error


def members(place: Path, *, suffix: str, largest: int) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file of an archive, or of a folder and those below.

    Nothing is written to the disk. Members of an archive come in its order, those of a folder by
    name; names are POSIX paths.

    Args:
        place: A ``.zip``, a ``.tar`` with any compression of the standard library, or a folder.
        suffix: Ending of the names of files to read; others are passed over.
        largest: Bytes that one file may have.

    Raises:
        DataError: The archive is damaged, a file is larger than that, or cannot be read.
    """
    try:
        if place.is_dir():
            found = _folder_members(place)
        elif zipfile.is_zipfile(place):
            found = _zip_members(place)
        else:
            found = _tar_members(place)
        for name, stream in found:
            if not name.endswith(suffix):
                continue
            content = stream.read(largest + 1)
            if len(content) > largest:
                raise DataError(f"{place}: {name} holds more than the {largest:,} bytes expected")
            yield name, content
    except DataError:
        raise
    except (*_DAMAGE, OSError) as error:
        raise DataError(f"{place} is damaged or not an archive: {error}") from error


def _folder_members(folder: Path) -> Iterator[tuple[str, IO[bytes]]]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            yield path.relative_to(folder).as_posix(), stream


def _parts(name: str, archive: Path) -> tuple[str, ...]:
    """Split a member's name, refusing every form that could leave the target folder."""
    path = PurePosixPath(name)
    # Backslash and colon matter on Windows only, but no data set of ours uses them anywhere.
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise DataError(f"{archive.name} is refused: its member {name!r} leaves the target folder")
    return path.parts


def _tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isreg() else None
            if stream is not None:
                yield member.name, stream


def _zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as bundle:
        for member in bundle.infolist():
            if not member.is_dir():
                with bundle.open(member) as stream:
                    yield member.filename, stream
