"""ECG records with atrial fibrillation: the file format, the split, and the real archive."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from spikescan.data import DataError
from spikescan.data.af_ecg import AFECG
from spikescan.data.matlab import read_matlab4

LABELS = "NNNNNNAAAAOOOOO~~~~~" * 2


def matlab(samples: np.ndarray) -> bytes:
    return (
        struct.pack("<5i", 30, 1, len(samples), 0, 4) + b"val\0" + samples.astype("<i2").tobytes()
    )


def write(folder: Path, packed: bool = False) -> Path:
    """Forty records of 90 to 129 samples; the first sample is the record's number."""
    root = folder / "root"
    base = root / "cinc2017"
    (base / "training2017").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows: list[str] = []
    for i, label in enumerate(LABELS):
        samples = np.r_[i, rng.integers(-900, 900, 89 + i)]
        (base / "training2017" / f"A{i:05}.mat").write_bytes(matlab(samples))
        rows.append(f"A00/A{i:05},{label},0" if packed else f"A{i:05},{label}")
    (base / "REFERENCE-v3.csv").write_text("\n".join(rows) + "\n")
    if packed:
        with tarfile.open(base / "cinc2017.tar.xz", "w:xz", preset=0) as tar:
            for path in sorted((base / "training2017").iterdir(), reverse=True):
                tar.add(path, f"training2017/{path.name}")
                path.unlink()
        (base / "training2017").rmdir()
    return root


def tiny(folder: Path) -> list[str]:
    return [f"--data.root={write(folder)}", "--data.batch_size=8"]


@pytest.mark.parametrize("packed", [False, True])
def test_records_keep_their_label_and_samples(tmp_path: Path, packed: bool) -> None:
    data = AFECG(root=str(write(tmp_path, packed)), frame=4)
    assert data.facts.inputs == 4
    assert [len(part) for part in data.splits] == [32, 4, 4]
    seen = []
    for part in data.splits:
        for batch in part:
            assert batch.lengths is not None
            samples = batch.x[0].flatten() * 240
            record = round(float(samples[0]))
            seen.append(record)
            assert "NAO~"[int(batch.y)] == LABELS[record]
            assert int(batch.lengths) == batch.x.shape[1] == -(-(90 + record) // 4)
    assert sorted(seen) == list(range(40))
    # The second time it is read from what was kept.
    again = AFECG(root=str(data.root), frame=4, seed=7)
    assert torch.equal(again.splits.test.y, data.splits.test.y)
    assert torch.equal(again.splits.test[3].x, data.splits.test[3].x)


def test_every_class_is_in_every_part(tmp_path: Path) -> None:
    for part in AFECG(root=str(write(tmp_path))).splits:
        assert part.y.bincount(minlength=4).min() >= 1


def test_only_training_records_vary(tmp_path: Path) -> None:
    root = str(write(tmp_path))
    plain, varied = AFECG(root=root), AFECG(root=root, shift=20, gain=3.0, speed=0.1)
    assert torch.equal(plain.splits.test[1].x, varied.splits.test[1].x)
    assert plain.splits.train[1].x.shape != varied.splits.train[1].x.shape


def test_a_record_alone_is_as_in_the_data(tmp_path: Path) -> None:
    data = AFECG(root=str(write(tmp_path)), frame=4, max_length=100)
    held = data.splits.test[2]
    record = (
        tmp_path / "root/cinc2017/training2017" / f"A{round(float(held.x[0, 0, 0]) * 240):05}.mat"
    )
    ((name, batch),) = AFECG(frame=4, max_length=100, shift=20, gain=3.0).read(record)
    assert name == str(record)
    assert torch.equal(batch.x, held.x)
    record.write_bytes(record.read_bytes()[:-2])
    with pytest.raises(DataError, match=rf"{record.name} holds \d+ bytes instead of"):
        data.read(record)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    root = write(tmp_path)
    base = root / "cinc2017"
    record, labels = base / "training2017" / "A00007.mat", base / "REFERENCE-v3.csv"
    whole, rows = record.read_bytes(), labels.read_text()
    for content, message in (
        (whole[:-3], r"A00007\.mat holds 215 bytes instead of 218 for 1 x 97 values"),
        (whole[:10], r"A00007\.mat is truncated: 10 bytes"),
        (b"\x1f" + whole[1:], r"A00007\.mat is not a MATLAB 4 file of 16-bit numbers"),
        (struct.pack("<5i", 30, 2, 48, 0, 4) + whole[20:216], r"A00007\.mat must have one lead"),
    ):
        record.write_bytes(content)
        with pytest.raises(DataError, match=message):
            AFECG(root=str(root)).setup()
    record.unlink()
    with pytest.raises(DataError, match=r"lacks 1 of the 40 records .*A00007\.mat"):
        AFECG(root=str(root)).setup()
    record.write_bytes(whole)
    labels.write_text(rows.replace("A00003,N", "A00003,X"))
    with pytest.raises(DataError, match=r"REFERENCE-v3\.csv: line 4 must be .*'A00003,X'"):
        AFECG(root=str(root)).setup()
    labels.write_text(rows.replace("A00003,N\n", ""))
    with pytest.raises(DataError, match=r"A00003\.mat has no label"):
        AFECG(root=str(root)).setup()


def test_absent_files_are_told_with_their_publisher(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        AFECG(root=str(tmp_path)).setup()
    assert "physionet.org/content/challenge-2017" in str(caught.value)
    assert f"{tmp_path}/cinc2017" in str(caught.value)


def test_damaged_bytes_never_pass_as_another_record() -> None:
    whole = matlab(np.arange(50))
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(500):
        content = bytearray(whole[: rng.integers(len(whole) + 1)])
        for at in rng.integers(0, 24, size=2):
            if at < len(content):
                content[at] = rng.integers(256)
        with suppress(DataError):
            assert read_matlab4(bytes(content), "a.mat").size <= 50
            read += 1
    assert read < 100


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    root = write(tmp_path, packed=True)
    archive = root / "cinc2017" / "cinc2017.tar.xz"
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"cinc2017\.tar\.xz is damaged"):
        AFECG(root=str(root)).setup()
    with tarfile.open(archive, "w:xz") as tar:
        member = tarfile.TarInfo("training2017/A00000.mat")
        member.size = 2 << 20
        tar.addfile(member, io.BytesIO(bytes(2 << 20)))
    with pytest.raises(DataError, match=r"A00000\.mat holds more than the 1,048,576 bytes"):
        AFECG(root=str(root)).setup()


def test_the_real_records(real_root: Callable[[str], str]) -> None:
    data = AFECG(root=real_root("cinc2017"))
    parts = [part.y.bincount(minlength=4).tolist() for part in data.splits]
    assert [sum(column) for column in zip(*parts, strict=True)] == [5076, 758, 2415, 279]
    assert [len(part) for part in data.splits] == [6822, 853, 853]
    lengths = torch.cat([part.lengths for part in data.splits])  # type: ignore[misc]
    assert (int(lengths.min()), int(lengths.median()), int(lengths.max())) == (2714, 9000, 18286)
    values = data.splits.train.whole.samples  # type: ignore[attr-defined]
    assert abs(float(values[::7].double().std()) / 240 - 1) < 0.3
