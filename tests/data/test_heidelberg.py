"""Spikes of spoken words from HDF5 files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from spikescan.data import DataError
from spikescan.data.heidelberg import Heidelberg, read_spikes

h5py = pytest.importorskip("h5py")


def write_file(path: Path, rows: list[tuple[list[float], list[int], int]]) -> None:
    with h5py.File(path, "w") as file:
        spikes = file.create_group("spikes")
        times = spikes.create_dataset("times", len(rows), dtype=h5py.vlen_dtype(np.float32))
        units = spikes.create_dataset("units", len(rows), dtype=h5py.vlen_dtype(np.uint16))
        for i, (seconds, unit, _) in enumerate(rows):
            times[i], units[i] = seconds, unit
        file["labels"] = [label for _, _, label in rows]


def recordings(count: int) -> list[tuple[list[float], list[int], int]]:
    rng = np.random.default_rng(count)
    return [
        (sorted(rng.random(30) * 0.4), rng.integers(0, 700, 30).tolist(), i % 20)
        for i in range(count)
    ]


def write(folder: Path, names: tuple[str, ...] = ("train", "test"), set_: str = "shd") -> Path:
    base = folder / "root" / set_
    base.mkdir(parents=True)
    for i, name in enumerate(names):
        write_file(base / f"{set_}_{name}.h5", recordings(200 - 20 * i))
    return base.parent


def tiny(folder: Path) -> list[str]:
    root = write(folder)
    write(folder, ("train", "valid", "test"), "ssc")
    return [f"--data.root={root}", "--data.batch_size=8"]


def test_spikes_are_counted_in_steps_and_channels(tmp_path: Path) -> None:
    path = tmp_path / "few.h5"
    write_file(path, [([0.0121, 0.0005, 0.0039], [699, 0, 4], 3), ([0.5], [7], 19)])
    kept = read_spikes(path)
    assert kept["time"].tolist() == [500, 3900, 12100, 500_000]
    assert kept["channel"].tolist() == [0, 4, 699, 7]
    packed = tmp_path / "few.h5.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_spikes(packed)["channel"].tolist() == [0, 4, 699, 7]
    root = write(tmp_path)
    data = Heidelberg(root=str(root))
    assert [len(part) for part in data.splits] == [180, 20, 180]
    seconds, units, label = recordings(180)[7]
    batch = data.splits.test[7]
    expected = torch.zeros(100, 140)
    for time, unit in zip(seconds, units, strict=True):
        expected[int(np.round(np.float32(time) * 1e6)) // 4000, unit // 5] += 1
    assert torch.equal(batch.x[0], expected[: batch.x.shape[1]])
    assert int(batch.y) == label
    assert (data.facts.length, data.facts.inputs, data.facts.rate) == (300, 140, 250)


def test_published_parts_are_kept(tmp_path: Path) -> None:
    root = write(tmp_path, ("train", "valid", "test"), "ssc")
    assert [len(p) for p in Heidelberg(root=str(root), variant="ssc").splits] == [200, 180, 160]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.h5"
    for rows, message in (
        ([([0.1, 0.2], [3], 0)], "recording 0 has 2 times, 1 units"),
        ([([], [], 0)], "recording 0 has 0 times, 0 units"),
        ([([0.1], [700], 0)], "recording 0 has a spike at no time or in no channel"),
        ([([float("nan")], [1], 0)], "a spike at no time"),
        ([], "has no recordings"),
    ):
        write_file(path, rows)
        with pytest.raises(DataError, match=rf"bad\.h5.*{message}"):
            read_spikes(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(DataError, match=r"bad\.h5 is not a readable file of spikes"):
        read_spikes(path)
    packed = tmp_path / "bad.h5.gz"
    packed.write_bytes(gzip.compress(b"x" * 99)[:-9])
    with pytest.raises(DataError, match=r"bad\.h5\.gz is not a readable file"):
        read_spikes(packed)
    with pytest.raises(DataError, match=r"zenkelab"):
        Heidelberg(root=str(tmp_path / "nowhere")).setup()
    for options in ({"variant": "x"}, {"step": 0}, {"pool": 0}, {"max_length": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            Heidelberg(**options)  # type: ignore[arg-type]
