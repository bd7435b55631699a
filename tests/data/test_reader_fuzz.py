"""Damaged files of the published formats: one line, or sound numbers; never a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_dvs_gesture import HEAD, packet
from test_frame import frame
from test_heidelberg import recordings, write_file
from test_mitbih import write as write_records
from test_nmnist import packed, some
from test_own_fuzz import damage, said

from spikescan.cli.feed import open_feed
from spikescan.data import Probe, Series
from spikescan.data.aedat import read_aedat
from spikescan.data.events import Events, read_bs2
from spikescan.data.heidelberg import read_spikes
from spikescan.data.mitbih import read_record
from spikescan.data.trajectories import Trajectories, record, write_episodes

Read = Callable[[], Any]


def _bytes(path: Path, content: bytes, read: Callable[[bytes, str], Any]) -> tuple[Path, Read]:
    path.write_bytes(content)
    return path, lambda: read(path.read_bytes(), str(path))


def _frame(folder: Path) -> tuple[Path, Read]:
    path = frame(folder / "a.h5")
    return path, lambda: Series(path=str(path), window=8, horizon=2).splits.train[0].x.numpy()


def _spikes(folder: Path) -> tuple[Path, Read]:
    write_file(folder / "a.h5", recordings(12))
    return folder / "a.h5", lambda: read_spikes(folder / "a.h5")


def _record(end: str, folder: Path) -> tuple[Path, Read]:
    place = write_records(folder) / "mitbih"
    return place / f"100.{end}", lambda: read_record(place, "100")


def _npy(folder: Path) -> tuple[Path, Read]:
    path = folder / "a.npy"
    np.save(path, np.random.default_rng(0).standard_normal((30, 2)).astype(np.float32))
    data = Probe()
    return (
        path,
        lambda: open_feed(
            str(path), data, 2, chunk=1, scale=None, form="csv", rate=None
        ).chunks and np.zeros(1),
    )  # fmt: skip # a stream refuses NaN itself


def _episodes(folder: Path) -> tuple[Path, Read]:
    path = folder / "a.npz"
    played = record("CartPole-v1", policy=None, episodes=6, noise=1.0, seed=0)
    write_episodes(path, [*played])

    def read() -> object:
        data = Trajectories(env="CartPole-v1", path=str(path))
        return data.splits.train[0].x.numpy()

    return path, read


KINDS: dict[str, Callable[[Path], tuple[Path, Read]]] = {
    "bs2": lambda folder: _bytes(folder / "a.bs2", packed(some(60, 0)), read_bs2),
    "aedat": lambda folder: _bytes(
        folder / "a.aedat",
        HEAD + packet([(t % 128, t % 128, t % 2, 9 * t) for t in range(60)]),
        partial(read_aedat, size=128),
    ),
    "spikes": _spikes,
    "frame": _frame,
    **{f"wfdb {end}": partial(_record, end) for end in ("hea", "dat", "atr")},
    "npy": _npy,
    "episodes": _episodes,
}


def sound(found: Any) -> bool:
    """Whether all numbers are finite, and events in order."""
    if isinstance(found, Events):
        return bool((np.diff(found.time) >= 0).all()) and bool((found.channel >= 0).all())
    values = found.values() if isinstance(found, dict) else found
    values = (values,) if isinstance(values, np.ndarray) else values
    return all(np.isfinite(value).all() for value in values)


def run(folder: Path, count: int, seed: int, kinds: Iterable[str] = KINDS) -> dict[str, int]:
    """Damage ``count`` files, the kinds in turn; how many of each were refused."""
    rng = np.random.default_rng(seed)
    refused = dict.fromkeys(kinds, 0)
    places: dict[str, tuple[Path, Read, bytes]] = {}
    for name in refused:
        (folder / name).mkdir()
        path, read = KINDS[name](folder / name)
        assert sound(read()), name
        places[name] = path, read, path.read_bytes()
    before = sorted(str(file) for file in folder.rglob("*"))
    for trial in range(count):
        name = [*refused][trial % len(refused)]
        path, read, whole = places[name]
        content = damage(whole, rng)
        path.write_bytes(content)
        kept: list[Any] = []
        message = said(lambda read=read, kept=kept: kept.append(read()))
        if message is None:
            assert sound(kept[0]), name
        else:
            refused[name] += 1
            assert "\n" not in message, name
            assert len(message) < 1000, name
        assert path.read_bytes() == content
        assert sorted(str(file) for file in folder.rglob("*")) == before
        path.write_bytes(whole)
    return refused


def test_some_damaged_files(tmp_path: Path) -> None:
    assert sum(run(tmp_path, 72, seed=1).values()) > 15


@pytest.mark.slow
def test_two_thousand_damaged_files(tmp_path: Path) -> None:
    # From one damaged heap in some hundreds HDF5 itself does not come back, and nothing in this
    # process can stop it: of its files of unequal rows only the few above are damaged.
    kinds = [name for name in KINDS if name != "spikes"]
    refused = run(tmp_path, 2000, seed=0, kinds=kinds)
    assert all(count > 20 for count in refused.values()), refused
