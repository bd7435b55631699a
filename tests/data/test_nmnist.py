"""Event recordings: the format, bins of time and of events, and the real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from spikescan.data import DataError
from spikescan.data.events import Events, EventSequences, read_bs2
from spikescan.data.nmnist import NMNIST


def packed(events: np.ndarray) -> bytes:
    """Events (N, 4): column, row, polarity, microseconds."""
    column, row, polarity, time = events.T
    high = (polarity << 7) | (time >> 16)
    return np.stack([column, row, high, (time >> 8) & 255, time & 255], 1).astype("u1").tobytes()


def some(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(0, 30_000, count))
    return np.stack([*rng.integers(0, 34, (2, count)), rng.integers(0, 2, count), time], 1)


def write(folder: Path) -> Path:
    base = folder / "root" / "nmnist" / "NMNISTsmall"
    base.mkdir(parents=True)
    for name, first, count in (("train1K", 1, 100), ("test100", 60_001, 10)):
        lines = ["#sample #class\r\n"]
        for i in range(count):
            (base / f"{first + i}.bs2").write_bytes(packed(some(50 + i, first + i)))
            lines.append(f"{first + i}\t{i % 10}\r\n")
        (base / f"{name}.txt").write_text("".join(lines))
    return base.parents[1]


def tiny(folder: Path) -> list[str]:
    return [f"--data.root={write(folder)}", "--data.batch_size=8"]


def test_events_are_unpacked() -> None:
    events = np.array([[1, 2, 0, 5], [33, 0, 1, 5], [0, 33, 1, 70_000], [3, 3, 0, 8_388_607]])
    read = read_bs2(packed(events), "a")
    assert read.time.tolist() == [5, 5, 70_000, 8_388_607]
    assert read.channel.tolist() == [2 * 34 + 1, 34 * 34 + 33, 34 * 34 + 33 * 34, 3 * 34 + 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must hold events of 5 bytes each, got 0"),
        (packed(some(9, 0))[:-1], "got 44 bytes"),
        (packed(np.array([[34, 0, 0, 1]])), "event 0 is at column 34, row 0, outside"),
        (packed(np.array([[1, 0, 0, 9], [1, 0, 0, 8]])), "event 1 comes at 8 us, after one at 9"),
    ],
)
def test_damaged_events_are_named(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"^7.bs2.*{message}"):
        read_bs2(content, "7.bs2")


@pytest.mark.parametrize("by", ["step", "count"])
def test_bins_hold_every_event_once(by: str) -> None:
    time = np.array([0, 10, 999, 1000, 2500, 0, 3999], np.int32)
    channel = np.array([0, 1, 1, 2, 2, 1, 0], np.int32)
    data = EventSequences(
        Events(time, channel),
        torch.tensor([5, 2]),
        torch.tensor([0, 1]),
        channels=3,
        max_length=9,
        **({"step": 1000} if by == "step" else {"count": 2}),
    )
    batch = data.batch(torch.tensor([1, 0]), 0)
    assert batch.lengths is not None
    if by == "step":
        assert batch.lengths.tolist() == [4, 3]
        assert batch.x.nonzero().tolist() == [
            [0, 0, 1], [0, 3, 0], [1, 0, 0], [1, 0, 1], [1, 1, 2], [1, 2, 2]
        ]  # fmt: skip
        assert float(batch.x[1, 0, 1]) == 2
    else:
        assert batch.lengths.tolist() == [1, 3]
        assert batch.x[1].tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 1]]
        assert batch.x[0].tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert batch.x.sum() == 7


def test_recordings_keep_their_class_and_events(tmp_path: Path) -> None:
    data = NMNIST(root=str(write(tmp_path)))
    assert [len(part) for part in data.splits] == [90, 10, 10]
    batch = data.splits.test[4]
    events = some(54, 60_005)
    assert int(batch.y) == 4
    expected = torch.zeros(30, 2, 34, 34)
    for column, row, polarity, time in events.tolist():
        expected[time // 1000, polarity, row, column] += 1
    assert torch.equal(batch.x[0], expected.flatten(1)[: batch.x.shape[1]])
    halved = NMNIST(root=str(data.root), pool=2).splits.test[4].x[0]
    assert torch.equal(
        halved, torch.nn.functional.avg_pool2d(expected, 2).mul(4).flatten(1)[: len(halved)]
    )
    assert data.splits.test[9].x.sum() == 59
    single = NMNIST(root=str(data.root), step=0, count=1, pool=17)
    assert (single.facts.inputs, single.facts.rate) == (8, None)
    x = single.splits.test[4].x[0]
    assert x.shape == (54, 8)
    assert (x.sum(1) == 1).all()


@pytest.mark.parametrize(
    ("time", "channel", "sizes", "message"),
    [
        ([1, 2, 0], [0, 1, 2], [2, 1], r"events must be in channels 0 \.\. 1, got 0 \.\. 2"),
        ([1, 2, 0], [0, -1, 1], [2, 1], r"events must be in channels 0 \.\. 1, got -1 \.\. 1"),
        ([1, 0, 3], [0, 1, 1], [2, 1], "time must not fall .* got 0 us after 1 us in recording 0"),
        ([1, 3, 2], [0, 1, 1], [1, 2], "time must not fall .* got 2 us after 3 us in recording 1"),
        ([-1, 2, 0], [0, 1, 1], [2, 1], "time must be at least 0, got -1 us"),
        ([1, 2, 0], [0, 1], [2, 1], "events must have a channel each, got 2 for 3"),
        ([1, 2, 0], [0, 1, 1], [2, 2], "sizes must be 2 numbers from 1 on whose sum is 3"),
    ],
)
def test_events_that_do_not_fit_are_told(
    time: list[int], channel: list[int], sizes: list[int], message: str
) -> None:
    events = Events(np.array(time, np.int32), np.array(channel, np.int32))
    with pytest.raises(ValueError, match=message):
        EventSequences(
            events, torch.tensor(sizes), torch.tensor([0, 1]), channels=2, max_length=9, step=1
        )


def test_lists_and_files_agree(tmp_path: Path) -> None:
    root = write(tmp_path)
    base = root / "nmnist" / "NMNISTsmall"
    (base / "7.bs2").unlink()
    with pytest.raises(DataError, match=r"has no 7\.bs2, which train1K\.txt names"):
        NMNIST(root=str(root)).setup()
    (base / "test100.txt").write_text("60001\tx\n")
    (base / "train1K.txt").write_text("1\t5\n")
    with pytest.raises(DataError, match=r"test100\.txt: line 1 must be a sample and a digit"):
        NMNIST(root=str(root)).setup()
    with pytest.raises(ValueError, match="one of step and count must be positive, got 5 and 5"):
        NMNIST(step=5, count=5)


def test_the_real_recordings(real_root: Callable[[str], str]) -> None:
    data = NMNIST(root=real_root("nmnist"), pool=2)
    assert [len(part) for part in data.splits] == [900, 100, 100]
    assert torch.bincount(data.splits.test.y).tolist() == [8, 14, 8, 11, 14, 7, 10, 15, 2, 11]
    lengths = torch.cat([part.lengths for part in data.splits])  # type: ignore[misc]
    assert int(lengths.min()) >= 296
    assert int(lengths.max()) <= 337
    batch = data.splits.train.batch(torch.arange(8), 0)
    assert float(batch.x.flatten(1).sum(1).min()) >= 1_000
