"""The data sets that the package knows: what they are, where they come from, how to get them.

Adding a data set is one entry in :data:`SOURCES`. Its files live in ``<root>/<name>/``.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pooch

from spikescan.data.archive import extract
from spikescan.data.root import ROOT_VARIABLE, DataError, data_root


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
        archive: Where the files come from when they have no addresses of their own.
        embedded: The data ship inside a dependency; there is nothing to download.
    """

    name: str
    title: str
    licence: str
    citation: str
    homepage: str
    files: tuple[File, ...] = ()
    listing: str | None = None
    archive: Archive | None = None
    embedded: bool = False

    def contents(self) -> tuple[File, ...]:
        """Return every file of the data set, in a fixed order."""
        if self.listing is None:
            return self.files
        text = resources.files("spikescan.data").joinpath(self.listing).read_text("ascii")
        # A line is "<sha256>  <path>", so that `sha256sum -c` reads the list too.
        pairs = (line.split(maxsplit=1) for line in text.splitlines())
        return self.files + tuple(File(path, digest) for digest, path in pairs)


def _idx_files(checksums: dict[str, tuple[int, str]], *mirrors: str) -> tuple[File, ...]:
    return tuple(
        File(name, digest, size, tuple(mirror + name for mirror in mirrors))
        for name, (size, digest) in checksums.items()
    )


SOURCES: tuple[Source, ...] = (
    Source(
        name="digits",
        title="Optical recognition of handwritten digits, 8x8 (inside scikit-learn)",
        licence="CC BY 4.0",
        citation="E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998",
        homepage="https://archive.ics.uci.edu/dataset/80",
        embedded=True,
    ),
    Source(
        name="mnist",
        title="MNIST handwritten digits, 28x28",
        licence="usually given as CC BY-SA 3.0",
        citation="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Proceedings of the IEEE, 1998",
        homepage="http://yann.lecun.com/exdb/mnist/",
        files=_idx_files(
            {
                "train-images-idx3-ubyte.gz": (
                    9912422,
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                ),
                "train-labels-idx1-ubyte.gz": (
                    28881,
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                ),
                "t10k-images-idx3-ubyte.gz": (
                    1648877,
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                ),
                "t10k-labels-idx1-ubyte.gz": (
                    4542,
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                ),
            },
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    Source(
        name="fashion_mnist",
        title="Fashion-MNIST articles of clothing, 28x28",
        licence="MIT",
        citation="H. Xiao, K. Rasul and R. Vollgraf, arXiv:1708.07747, 2017",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        files=_idx_files(
            {
                "train-images-idx3-ubyte.gz": (
                    26421880,
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                ),
                "train-labels-idx1-ubyte.gz": (
                    29515,
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                ),
                "t10k-images-idx3-ubyte.gz": (
                    4422102,
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                ),
                "t10k-labels-idx1-ubyte.gz": (
                    5148,
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                ),
            },
            # Plain http is safe here: the checksums decide.
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
    ),
    Source(
        name="fsdd",
        title="Free Spoken Digit Dataset, 8 kHz recordings",
        licence="CC BY-SA 4.0",
        citation="Z. Jackson and others, Free Spoken Digit Dataset, doi:10.5281/zenodo.1342401",
        homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
        listing="fsdd.sha256",
        # GitHub packs archives anew at times, so only the unpacked files have lasting checksums.
        archive=Archive(
            urls=(
                "https://github.com/Jakobovski/free-spoken-digit-dataset"
                "/archive/refs/tags/v1.0.10.tar.gz",
                "https://github.com/Jakobovski/free-spoken-digit-dataset"
                "/archive/refs/heads/master.tar.gz",
            ),
            unpacked=30_000_000,
            strip=1,
        ),
    ),
)


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
        return [path for file in source.contents() if not (path := folder / file.path).is_file()]
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
    if absent := missing(source, root):
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
        DataError: A download failed or did not have the expected content, or the folder cannot
            be written.
    """
    base = data_root(root)
    folder = base / source.name
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
