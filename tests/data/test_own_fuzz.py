"""Damaged files of all kinds: one line, or the values that stand in the file; never a traceback."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from own_support import csv_folders, csv_long, npz, series, texts, tone, tones, ts

from spikescan.data import Csv, DataError, Item, Npz, SequenceData, TextFiles, Ts, Wav
from spikescan.data.own.detect import kind_of
from spikescan.data.series import Series

Make = Callable[[Path], tuple[Path, SequenceData]]


def _sound(folder: Path, end: str) -> tuple[Path, SequenceData]:
    tones(folder, 3)
    target = tone(folder / "low" / f"x{end}", 200, seconds=0.03)
    return target, Wav(root=str(folder))


def _file(make: Callable[[Path], Path], kind: type[SequenceData], name: str) -> Make:
    def made(folder: Path) -> tuple[Path, SequenceData]:
        path = make(folder / name)
        return path, kind(path=str(path), **({"window": 8, "horizon": 2} if kind is Series else {}))  # type: ignore[call-arg]

    return made


def _folder(make: Callable[[Path], Path], kind: type[SequenceData], name: str) -> Make:
    return lambda folder: (make(folder) / name, kind(root=str(folder)))


KINDS: dict[str, Make] = {
    "wav": lambda folder: _sound(folder, ".wav"),
    "flac": lambda folder: _sound(folder, ".flac"),
    "csv long": _file(csv_long, Csv, "long.csv"),
    "csv folders": _folder(csv_folders, Csv, "slow/a_0.csv"),
    "npz": _file(npz, Npz, "waves.npz"),
    "ts": _file(ts, Ts, "waves.ts"),
    "text": _folder(texts, TextFiles, "good/0.txt"),
    "series": _file(series, Series, "load.csv"),
}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """One of the ways in which files break."""
    at = int(rng.integers(len(content)))
    length = int(rng.integers(1, 20))
    match rng.integers(9):
        case 0:
            return content[:at]
        case 1:
            return (
                content[:at]
                + bytes([content[at] ^ (1 << int(rng.integers(8)))])
                + content[at + 1 :]
            )
        case 2:
            return content[:at] + rng.bytes(length) + content[at:]
        case 3:
            return content[:at] + content[at + length :]
        case 4:
            return content[:at] + b"\0" * length + content[at + length :]
        case 5:
            return content + content[at : at + 40]
        case 6:
            lines = content.split(b"\n")
            i, j = rng.integers(len(lines), size=2)
            lines[i], lines[j] = lines[j], lines[i]
            return b"\n".join(lines)
        case 7:
            words = (
                b"",
                b"nan",
                b"inf",
                b"1_0",
                b"1e999",
                b"x",
                b'"',
                b",",
                b";",
                b":",
                b"?",
                b"-",
            )
            return content[:at] + words[int(rng.integers(len(words)))] + content[at + 1 :]
        case _:
            return content[: min(at, 60)] + rng.bytes(4) + content[min(at, 60) + 4 :]


def check(name: str, path: Path, data: SequenceData, whole: bytes) -> None:
    """What was accepted is what stands in the file."""
    for split in data.splits:
        for i in range(len(split)):
            assert split[i].x.isfinite().all()
            assert len(split[i].x)
    content = path.read_bytes()
    if name in ("wav", "flac"):
        assert len(content) >= len(whole), "a recording that lost its end is not taken"
        return
    items: list[Item] = getattr(data, "items", [])
    if name == "npz":
        assert sorted(zlib.crc32(i.values.numpy().tobytes()) for i in items) == data.expected  # type: ignore[attr-defined]
        return
    text = content.decode("utf-8-sig")
    if name == "text":
        (mine,) = [item for item in items if item.name == "good/0.txt"]
        assert bytes(mine.values.tolist()).decode() == text
        return
    numbers = {np.float32(t) for t in re.split(r"[\s,;:]+", text) if NUMBER.fullmatch(t)}
    if name == "series":
        for part in data.splits:
            for i in range(len(part)):
                assert {*part[i].x.flatten().numpy()} <= numbers
        return
    for item in items:
        if name != "csv folders" or item.name == "slow/a_0.csv":
            assert {*item.values.flatten().numpy()} <= numbers, item.name


def said(call: Callable[[], object]) -> str | None:
    """What is said of bad files; any other error is one of ours."""
    try:
        call()
    except DataError as error:
        return str(error)
    return None


def run(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Damage ``count`` files, the kinds in turn; how many of each were refused."""
    rng = np.random.default_rng(seed)
    refused = dict.fromkeys(KINDS, 0)
    places: dict[str, tuple[Path, SequenceData, bytes]] = {}
    for name, make in KINDS.items():
        (folder / name).mkdir()
        path, data = make(folder / name)
        places[name] = path, data, path.read_bytes()
    original = Npz(path=str(places["npz"][0])).items
    expected = sorted(zlib.crc32(item.values.numpy().tobytes()) for item in original)
    for trial in range(count):
        name = [*KINDS][trial % len(KINDS)]
        path, first, whole = places[name]
        content = damage(whole, rng)
        path.write_bytes(content)
        before = sorted(str(file) for file in folder.rglob("*"))
        data = _again(first)
        data.expected = expected  # type: ignore[attr-defined]
        message = said(data.setup)
        if message is None:
            check(name, path, data, whole)
        else:
            refused[name] += 1
            assert "\n" not in message, name
            assert len(message) < 1000, name
        message = said(partial(kind_of, path.parent if name in ("wav", "flac") else path))
        assert "\n" not in (message or ""), name
        assert path.read_bytes() == content
        assert sorted(str(file) for file in folder.rglob("*")) == before
        path.write_bytes(whole)
    return refused


def _again(data: SequenceData) -> SequenceData:
    """The same data, not read yet."""
    path = getattr(data, "path", None)
    if isinstance(data, Series):
        return Series(path=path or "", window=8, horizon=2)
    return type(data)(path=path, root=data.root)  # type: ignore[call-arg]


def test_some_damaged_files(tmp_path: Path) -> None:
    assert sum(run(tmp_path, 80, seed=1).values()) > 20


@pytest.mark.slow
def test_two_thousand_damaged_files(tmp_path: Path) -> None:
    refused = run(tmp_path, 2000, seed=0)
    assert all(count > 25 for count in refused.values()), refused
