"""What is known of a data set: its terms, its files and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class File:
    """One file of a data set.

    Args:
        path: POSIX path below the folder of the data set.
        sha256: Checksum of the whole file, in hexadecimal.
        bytes: Size, where known; lets a truncated file be noticed without reading it.
        urls: Addresses to try in turn; empty for a file that comes out of an archive.
    """

    path: str
    sha256: str
    bytes: int | None = None
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Archive:
    """A downloaded archive, of which only the files of the source are kept.

    Args:
        urls: Addresses to try in turn.
        unpacked: Bytes that its files of the source may have together.
        strip: Number of leading folders to remove from the names inside.
        sha256: Checksum, where the publisher's archive has a stable one. Each unpacked file is
            checked in any case.
    """

    urls: tuple[str, ...]
    unpacked: int
    strip: int = 0
    sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """A data set: its name, its terms, and its files with their checksums.

    Args:
        name: Short name; also the folder below the data root.
        title: Name for people.
        licence: Terms under which the publisher gives the data.
        citation: Whom to cite.
        homepage: Address of the publisher.
        files: The files, where they are few.
        listing: Name of a file beside this module that lists the files in the format of
            ``sha256sum``, where they are many.
        base: Address that the path of each listed file follows, where each can be downloaded alone.
        archive: Where the files come from when they have no addresses of their own.
        embedded: The data ship inside a dependency; there is nothing to download.
        brought: What a user downloads from the publisher, as paths below the folder of the data
            set. Of each group one has to be there: first the publisher's file, last what it
            unpacks to, between them archives that others made of it.
    """

    name: str
    title: str
    licence: str
    citation: str
    homepage: str
    files: tuple[File, ...] = ()
    listing: str | None = None
    base: str | None = None
    archive: Archive | None = None
    embedded: bool = False
    brought: tuple[tuple[str, ...], ...] = ()
    hint: str = ""

    def contents(self) -> tuple[File, ...]:
        """Return every file of the data set, in a fixed order."""
        if self.listing is None:
            return self.files
        text = resources.files("spikescan.data").joinpath(self.listing).read_text("ascii")
        # A line is "<sha256>  <path>", so that `sha256sum -c` reads the list too.
        pairs = (line.split(maxsplit=1) for line in text.splitlines())
        base = self.base
        return self.files + tuple(
            File(path, digest, urls=() if base is None else (base + path,))
            for digest, path in pairs
        )
