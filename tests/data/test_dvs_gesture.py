"""DVS Gesture from files written by the published format AEDAT 3.1."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch

from spikescan.data import DataError, DVSGesture
from spikescan.data.aedat import read_aedat

HEAD = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Start-Time: 2016\r\n#!END-HEADER\r\n"


def packet(events: list[tuple[int, int, int, int]], kind: int = 1, valid: int = 1) -> bytes:
    """Events of column, row, polarity and time."""
    body = b"".join(
        struct.pack("<II", valid | p << 1 | y << 2 | x << 17, t) for x, y, p, t in events
    )
    return struct.pack("<HHiiiiii", kind, 0, 8, 4, 0, len(events), len(events), len(events)) + body


def write(folder: Path) -> Path:
    """Five persons, the last one for the test; each with three gestures of 40 ms."""
    where = folder / "dvs_gesture" / "DvsGesture"
    where.mkdir(parents=True)
    files = [f"user{person:02}_led.aedat" for person in range(1, 6)]
    (where / "trials_to_train.txt").write_text("\n".join(files[:4]) + "\n")
    (where / "trials_to_test.txt").write_text(f"{files[4]}\n\n")
    for person, file in enumerate(files, 1):
        events = [(person, t % 128, t % 2, 1000 * t) for t in range(150)]
        (where / file).write_bytes(
            HEAD + packet(events[:70]) + packet([], kind=2) + packet(events[70:])
        )
        rows = [
            f"{c},{begin},{begin + 40_000}" for c, begin in ((1, 0), (11, 50_000), (4, 100_000))
        ]
        text = "\n".join(["class,startTime_usec,endTime_usec", *rows, ""])
        (where / f"{file[:-6]}_labels.csv").write_text(text)
    return folder


def tiny(folder: Path) -> list[str]:
    return [f"--data.root={write(folder)}", "--data.batch_size=3", "--data.pool=32"]


def test_gestures_by_person_in_steps_of_time_and_of_events(tmp_path: Path) -> None:
    root = str(write(tmp_path))
    data = DVSGesture(root=root, step=10_000, pool=1)
    assert [len(part) for part in data.splits] == [9, 3, 3]
    assert data.splits.test.y.tolist() == [0, 10, 3]
    batch = data.splits.test.batch(torch.tensor([0, 1]), 0)
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [4, 4]
    # An event a millisecond, darker and brighter in turn, row after row in column 5.
    assert batch.x.sum((1, 2)).tolist() == [40, 40]
    frame = batch.x[0, 1].view(2, 128, 128)
    assert frame.nonzero().tolist() == [
        [p, t, 5] for p in (0, 1) for t in range(10, 20) if t % 2 == p
    ]
    one_by_one = DVSGesture(root=root, step=0, count=1, max_length=30, pool=64)
    batch = one_by_one.splits.val.batch(torch.tensor([2]), 0)
    assert batch.x.shape == (1, 30, 8)
    assert (batch.x.sum(2) == 1).all()


def test_events_that_are_not_valid_are_passed_over() -> None:
    content = HEAD + packet([(1, 2, 1, 5)]) + packet([(3, 3, 0, 6)], valid=0)
    events = read_aedat(content, "a", 128)
    assert events.time.tolist() == [5]
    assert events.channel.tolist() == [(128 + 2) * 128 + 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#!AER-DAT2.0\r\n", r"must be of the format AEDAT 3\.1, begins with b'#!AER-DAT2"),
        (HEAD[:30], "is cut off in its header"),
        (HEAD, "has no polarity events"),
        (HEAD + packet([(1, 1, 1, 1)])[:-3], "is cut off or damaged at byte"),
        (HEAD + packet([(1, 1, 1, 1)])[:20], "in the head of a packet"),
        (HEAD + packet([(128, 1, 1, 1)]), "event 0 is at column 128, row 1, outside of 128 x 128"),
        (HEAD + packet([(1, 1, 1, 9), (1, 1, 1, 8)]), "event 1 comes at 8 us, after one at 9"),
        (HEAD + packet([(1, 1, 1, 1 << 31)]), "time of more than 31 bits"),
    ],
)
def test_damage_is_one_line(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_aedat(content, "a.aedat", 128)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("user02_led_labels.csv", "a,b\n1,2\n", "must have the columns class, startTime_usec"),
        (
            "user02_led_labels.csv",
            "class,startTime_usec,endTime_usec\n12,0,5\n",
            r"line 2 must be a class of 1 \.\. 11",
        ),
        (
            "user02_led_labels.csv",
            "class,startTime_usec,endTime_usec\n1,900000,950000\n",
            r"user02_led\.aedat has no event from 900000 to 950000 us",
        ),
        ("trials_to_test.txt", "user09_led.aedat\n", r"has no user09_led\.aedat"),
    ],
)
def test_what_does_not_fit_is_told(file: str, content: str, message: str, tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "dvs_gesture" / "DvsGesture" / file).write_text(content)
    with pytest.raises(DataError, match=message):
        DVSGesture(root=str(root)).load()
