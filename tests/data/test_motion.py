"""Activities from motion sensors, by person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from spikescan.data import DataError
from spikescan.data.motion import Motion

HEAD = "x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label\n"
ORDER = ("SEATED", "STANDING_UP", "WALKING", "TURNING", "SITTING_DOWN")


def write(folder: Path) -> Path:
    """Ten persons, two recordings each of 60 and 70 rows; x_acc is the person, y_acc the row."""
    root = folder / "root"
    for person in range(1, 11):
        where = root / "har" / "har_spsw" / "DATA" / f"s{person:02}"
        where.mkdir(parents=True)
        for run, device in ((1, "sp"), (2, "sp"), (1, "sw")):
            rows = [
                f"{person},{row},{row % 7},{row % 5},0.5,{row % 3},{row},{ORDER[row // 14]}\n"
                for row in range(50 + 10 * run)
            ]
            (where / f"s{person:02}_{run:02}_{device}.csv").write_text(HEAD + "".join(rows))
    return root


def tiny(folder: Path) -> list[str]:
    return [
        f"--data.root={write(folder)}",
        "--data.window=20",
        "--data.stride=5",
        "--data.batch_size=16",
    ]


def test_windows_by_person(tmp_path: Path) -> None:
    data = Motion(root=str(write(tmp_path)), window=20, stride=5)
    # Of a person 9 and 11 windows; two persons for the test, one for validation.
    assert [len(part) for part in data.splits] == [7 * 20, 20, 40]
    persons: list[set[float]] = []
    for part in data.splits:
        seen: set[float] = set()
        for batch in part:
            assert batch.lengths is None
            assert (batch.x[0, :, 0] == batch.x[0, 0, 0]).all()  # of one recording
            assert batch.x[0, :, 1].diff().eq(1).all()
            seen.add(float(batch.x[0, 0, 0]))
            assert int(batch.y) == int(batch.x[0, -1, 1]) // 14
        persons.append(seen)
    assert [len(seen) for seen in persons] == [7, 1, 2]
    assert len(set.union(*persons)) == 10
    other = Motion(root=str(data.root), window=20, stride=5, seed=3)
    assert torch.equal(other.splits.test.y, data.splits.test.y)
    assert len(Motion(root=str(data.root), device="watch", window=60).splits.test) == 2


def test_damaged_recordings_are_named(tmp_path: Path) -> None:
    root = write(tmp_path)
    path = root / "har" / "har_spsw" / "DATA" / "s04" / "s04_01_sp.csv"
    whole = path.read_text()
    for content, message in (
        (whole[5:], "must have the columns"),
        (whole.replace(",7,0,", ",,0,", 1), "line 9 is damaged"),
        (whole.replace("TURNING", "FLYING", 1), "line 44 is damaged"),
        (whole.replace("4,3,3,", "4,nan,3,", 1), "line 5 is damaged: a value is missing"),
        (whole[:-20], "is damaged"),
        (HEAD, "has no rows"),
    ):
        path.write_text(content)
        with pytest.raises(DataError, match=rf"s04_01_sp\.csv.*{message}"):
            Motion(root=str(root)).setup()
    path.write_text(whole)
    with pytest.raises(DataError, match="give a shorter window"):
        Motion(root=str(root), window=500).setup()


@pytest.mark.parametrize("options", [{"device": "hat"}, {"window": 0}, {"stride": 0}], ids=str)
def test_wrong_arguments_are_named(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=name):
        Motion(**options)  # type: ignore[arg-type]


def test_the_real_recordings(real_root: Callable[[str], str]) -> None:
    data = Motion(root=real_root("har"))
    x = data.splits.train.x  # type: ignore[attr-defined]
    assert x.isfinite().all()
    # Gravity is in every recording.
    assert 9 < float(x[:, :3].square().sum(1).sqrt().median()) < 11
    assert all(part.y.bincount(minlength=5).min() > 20 for part in data.splits)
    assert np.prod([len(part) for part in data.splits]) > 0


def test_whole_recordings_have_a_class_at_every_step(tmp_path: Path) -> None:
    data = Motion(root=str(write(tmp_path)), whole=True, max_length=65)
    assert [len(part) for part in data.splits] == [7 * 2, 2, 2 * 2]
    batch = data.splits.test.batch(torch.arange(4), 0)
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [60, 65, 60, 65]
    rows = batch.x[..., 1][batch.valid()]
    assert torch.equal(batch.y[batch.valid()], rows.long() // 14)
    assert {int(p) for p in batch.x[batch.valid()][:, 0].unique()}.isdisjoint(
        {int(part.x[0, 0, 0]) for part in data.splits.train}
    )
