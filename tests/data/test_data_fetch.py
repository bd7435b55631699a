"""Roots, the table of sources, downloads and their failures."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from data_server import Server

from spikescan.data import (
    SOURCES,
    Archive,
    DataError,
    File,
    Source,
    data_root,
    fetch,
    find_source,
    missing,
    require,
    verify,
)

CONTENT = {"a.bin": b"first file" * 100, "sub/b.bin": b"second file" * 200}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def toy(files: tuple[File, ...], archive: Archive | None = None) -> Source:
    return Source("toy", "Toy", "none", "nobody", "", files=files, archive=archive)


def served_files(server: Server, *, mirrors: tuple[str, ...] = ("",)) -> Source:
    """Serve CONTENT file by file."""
    for name, content in CONTENT.items():
        path = server.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return toy(
        tuple(
            File(n, sha256(c), len(c), tuple(server.url + mirror + n for mirror in mirrors))
            for n, c in CONTENT.items()
        )
    )


def write_archive(path: Path, members: dict[str, bytes]) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as bundle:
            for name, content in members.items():
                bundle.writestr(name, content)
        return
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def served_archive(server: Server, name: str, members: dict[str, bytes]) -> Source:
    write_archive(server.folder / name, members)
    files = tuple(File(n, sha256(c)) for n, c in CONTENT.items())
    return toy(files, Archive((server.url + name,), unpacked=10_000, strip=1))


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_option_wins_over_variable_wins_over_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKESCAN_DATA", "/from/variable")
    assert data_root("/from/option") == Path("/from/option")
    assert data_root() == Path("/from/variable")
    monkeypatch.setenv("SPIKESCAN_DATA", "")
    assert data_root().name == "spikescan"
    assert data_root("~/data") == Path.home() / "data"


def test_table_of_sources_is_complete() -> None:
    assert len({source.name for source in SOURCES}) == len(SOURCES)
    for source in SOURCES:
        assert source.title
        assert source.licence
        assert source.citation
        assert source.homepage.startswith("http")
        contents = source.contents()
        assert bool(contents) + source.embedded + bool(source.brought) == 1
        assert len({file.path for file in contents}) == len(contents)
        for file in contents:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.urls or source.archive
    assert len(find_source("fsdd").contents()) == 3000


def test_unknown_source_lists_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"unknown data set 'minst'.*digits, mnist"):
        find_source("minst")


def test_embedded_source_needs_nothing(tmp_path: Path) -> None:
    digits = find_source("digits")
    assert missing(digits, tmp_path) == []
    fetch(digits, tmp_path)
    verify(digits, tmp_path)
    assert everything_below(tmp_path) == set()


def test_missing_data_names_path_command_and_option(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        require(find_source("mnist"), tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "mnist" / "train-images-idx3-ubyte.gz") in message
    assert "spikescan data get mnist" in message
    assert "--data.root" in message
    assert "SPIKESCAN_DATA" in message
    assert "\n" not in message


def test_fetch_downloads_once_and_verifies(tmp_path: Path, server: Server) -> None:
    source = served_files(server)
    root = tmp_path / "new" / "root"
    assert missing(source, root) == [root / "toy" / name for name in CONTENT]
    assert fetch(source, root, progress=False) == root / "toy"
    assert everything_below(root) == {"toy", "toy/a.bin", "toy/sub", "toy/sub/b.bin"}
    verify(source, root)
    assert len(server.asked) == 2
    fetch(source, root, progress=False)
    assert len(server.asked) == 2


def test_fetch_replaces_only_what_is_damaged(tmp_path: Path, server: Server) -> None:
    source = served_files(server)
    fetch(source, tmp_path, progress=False)
    (tmp_path / "toy" / "a.bin").write_bytes(b"x" * len(CONTENT["a.bin"]))
    with pytest.raises(DataError, match=r"1 of 2 files differ.*toy/a\.bin"):
        verify(source, tmp_path)
    server.asked.clear()
    fetch(source, tmp_path, progress=False)
    assert server.asked == ["/a.bin"]
    verify(source, tmp_path)


def test_truncated_file_is_named_without_reading_it(tmp_path: Path, server: Server) -> None:
    source = served_files(server)
    path = fetch(source, tmp_path, progress=False) / "sub" / "b.bin"
    path.write_bytes(CONTENT["sub/b.bin"][:-1])
    with pytest.raises(DataError, match=r"sub/b\.bin has 2199 bytes instead of 2200"):
        require(source, tmp_path)


def test_wrong_download_is_named_and_leaves_nothing(tmp_path: Path, server: Server) -> None:
    source = served_files(server)
    (server.folder / "sub" / "b.bin").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"toy: cannot download b\.bin .*hash") as caught:
        fetch(source, tmp_path, progress=False)
    assert "\n" not in str(caught.value)
    assert everything_below(tmp_path) == set()


def test_second_address_serves_when_the_first_fails(tmp_path: Path, server: Server) -> None:
    source = served_files(server, mirrors=("gone/", ""))
    fetch(source, tmp_path, progress=False)
    verify(source, tmp_path)
    assert "/gone/a.bin" in server.asked


def test_no_address_works(tmp_path: Path, server: Server) -> None:
    source = served_files(server, mirrors=("gone/", "away/"))
    with pytest.raises(DataError, match=r"gone/a.bin: 404.*away/a.bin: 404"):
        fetch(source, tmp_path, progress=False)
    assert everything_below(tmp_path) == set()


def test_root_that_cannot_be_made(tmp_path: Path, server: Server) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match=r"toy: cannot write to .*file"):
        fetch(served_files(server), tmp_path / "file" / "root", progress=False)


@pytest.mark.parametrize("name", ["packed.tar.gz", "packed.zip"])
def test_archive_gives_the_listed_files_only(tmp_path: Path, server: Server, name: str) -> None:
    members = {f"packed-1.0/{path}": content for path, content in CONTENT.items()}
    source = served_archive(server, name, {**members, "packed-1.0/README": b"not listed"})
    fetch(source, tmp_path, progress=False)
    verify(source, tmp_path)
    assert everything_below(tmp_path) == {"toy", "toy/a.bin", "toy/sub", "toy/sub/b.bin"}


@pytest.mark.parametrize("name", ["packed.tar.gz", "packed.zip"])
@pytest.mark.parametrize("evil", ["../evil", "top/../../evil", "/evil", "top/..\\evil", "C:/evil"])
def test_path_traversal_is_refused(tmp_path: Path, server: Server, name: str, evil: str) -> None:
    members = {f"packed-1.0/{path}": content for path, content in CONTENT.items()}
    source = served_archive(server, name, {**members, evil: b"evil"})
    root = tmp_path / "deep" / "root"
    with pytest.raises(DataError, match=r"is refused: its member .*evil"):
        fetch(source, root, progress=False)
    assert everything_below(tmp_path) == {"deep", "deep/root"}


def test_links_are_never_created(tmp_path: Path, server: Server) -> None:
    source = served_archive(server, "packed.tar.gz", {})
    with tarfile.open(server.folder / "packed.tar.gz", "w:gz") as tar:
        link = tarfile.TarInfo("packed-1.0/a.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(DataError, match=r"no intact a\.bin"):
        fetch(source, tmp_path, progress=False)
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("content", [b"other", None])
def test_archive_without_a_good_file(tmp_path: Path, server: Server, content: bytes | None) -> None:
    members = {"packed-1.0/a.bin": CONTENT["a.bin"]}
    if content is not None:
        members["packed-1.0/sub/b.bin"] = content
    source = served_archive(server, "packed.tar.gz", members)
    with pytest.raises(DataError, match=r"no intact sub/b\.bin.*toy/sub/b\.bin by hand"):
        fetch(source, tmp_path, progress=False)
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("name", ["packed.tar.gz", "packed.zip"])
def test_truncated_archive(tmp_path: Path, server: Server, name: str) -> None:
    members = {f"packed-1.0/{path}": content for path, content in CONTENT.items()}
    source = served_archive(server, name, members)
    packed = server.folder / name
    packed.write_bytes(packed.read_bytes()[:-60])
    with pytest.raises(DataError, match="damaged"):
        fetch(source, tmp_path, progress=False)
    assert everything_below(tmp_path) == set()


def test_downloads_can_be_read_by_others(tmp_path: Path, server: Server) -> None:
    fetch(served_files(server), tmp_path, progress=False)
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    for name in CONTENT:
        assert (tmp_path / "toy" / name).stat().st_mode == plain.stat().st_mode


def test_archive_larger_than_expected_is_refused(tmp_path: Path, server: Server) -> None:
    members = {"packed-1.0/a.bin": b"\0" * 50_000_000}
    source = served_archive(server, "packed.zip", members)
    with pytest.raises(DataError, match=r"holds more than the 10,000 bytes .*a\.bin among them"):
        fetch(source, tmp_path, progress=False)
    assert everything_below(tmp_path) == set()


def test_encrypted_archive_is_one_line(tmp_path: Path, server: Server) -> None:
    members = {f"packed-1.0/{path}": content for path, content in CONTENT.items()}
    source = served_archive(server, "packed.zip", members)
    packed = server.folder / "packed.zip"
    content = bytearray(packed.read_bytes())
    # The first bit of the flags says that a member is encrypted, in its own header and in the list.
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 1)
    packed.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged or not an archive: .*encrypted") as caught:
        fetch(source, tmp_path, progress=False)
    assert "\n" not in str(caught.value)


def test_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(DataError, match=r"mnist: cannot read .*Permission denied"):
        require(find_source("mnist"), tmp_path)
