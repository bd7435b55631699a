"""Tables of pandas in HDF5's fixed format, laid out as PyTables writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikescan.cli import main
from spikescan.data import DataError, Series
from spikescan.data.own.detect import kind_of

h5py = pytest.importorskip("h5py")

SENSORS = ["773869", "767541", "767542", "717447"]
ROWS = 288


def speeds(rows: int = ROWS) -> np.ndarray:
    rng = np.random.default_rng(0)
    hours = np.arange(rows)[:, None] / 12
    return 55 + 10 * np.sin(hours / 4 + np.arange(4)) + rng.standard_normal((rows, 4))


def frame(path: Path, values: np.ndarray | None = None, **changed: Any) -> Path:
    """A file such as metr-la.h5: one group ``df``, five minutes a row, a block of numbers."""
    values = speeds() if values is None else values
    start = np.datetime64("2012-03-01T00:00", "ns").astype(np.int64)
    stored = {
        "axis0": np.array(SENSORS, "S6"),
        "axis1": start + np.arange(len(values)) * 300_000_000_000,
        "block0_items": np.array(SENSORS, "S6"),
        "block0_values": values,
        **changed,
    }
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"] = np.bytes_(b"frame")
        group.attrs["nblocks"] = 1
        for name, array in stored.items():
            if array is not None:
                group[name] = array
        group["axis0"].attrs["kind"] = np.bytes_(b"string")
        if "axis1" in group:
            group["axis1"].attrs["kind"] = np.bytes_(b"datetime64")
    return path


def test_a_published_traffic_file_is_read_as_its_csv_is(tmp_path: Path) -> None:
    data = Series(path=str(frame(tmp_path / "metr-la.h5")), window=12, horizon=12)
    csv = tmp_path / "same.csv"
    rows = (",".join(map(repr, row)) for row in speeds().tolist())
    csv.write_text("\n".join([",".join(SENSORS), *rows, ""]))
    same = Series(path=str(csv), window=12, horizon=12)
    assert data.facts == same.facts
    assert data.facts.channels == tuple(SENSORS)
    assert data.known() == {"columns": SENSORS, "every": 300}
    for mine, other in zip(data.splits, same.splits, strict=True):
        assert torch.equal(mine[0].x, other[0].x)
        assert torch.equal(mine[len(mine) - 1].y, other[len(other) - 1].y)
    assert torch.equal(data.statistics()[1], same.statistics()[1])
    survey = data.survey()
    assert sum(map(len, data.splits)) == ROWS - 3 * 12 - 12 + 3  # 288 = 202 + 29 + 57 rows
    assert (survey.rows, survey.every, survey.missing) == (ROWS, 300.0, 0)
    (said,) = data.read(tmp_path / "metr-la.h5")
    assert torch.equal(said[1].x[0], torch.from_numpy(speeds()[-12:]).float())


def test_columns_of_several_kinds_and_of_names_that_are_numbers(tmp_path: Path) -> None:
    values = speeds()
    path = frame(
        tmp_path / "a.h5",
        axis0=np.array([7, 3, 5]),
        axis1=np.arange(ROWS),
        block0_items=np.array([5, 7]),
        block0_values=values[:, :2],
        block1_items=np.array([3]),
        block1_values=np.arange(ROWS)[:, None] % 12,
    )
    with h5py.File(path, "r+") as file:
        file["df/axis1"].attrs["kind"] = np.bytes_(b"integer")
    data = Series(path=str(path), window=12, horizon=12)
    assert data.facts.channels == ("7", "3", "5")
    first = data.splits.train[0].x[0]
    assert torch.equal(first[:, 0], torch.from_numpy(values[:12, 1]).float())
    assert first[:, 1].tolist() == [*range(12)]
    assert data.survey().every is None


def test_it_trains_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = frame(tmp_path / "metr-la.h5")
    assert kind_of(path) == "series"
    assert main(["init", str(path), "-o", str(tmp_path / "recipe.yaml")]) == 0
    text = (tmp_path / "recipe.yaml").read_text()
    assert "288" in text
    capsys.readouterr()


gone = np.array([SENSORS[0], SENSORS[1], SENSORS[1], SENSORS[2]], "S6")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"axis1": None}, "must hold one table in pandas' fixed format, got 0"),
        ({"block0_values": None}, "is not a readable table of pandas: "),
        ({"block0_values": speeds()[:-1]}, r"block0_items must name numbers of shape \(288, 4\)"),
        ({"block0_items": gone}, "names column '767541' twice"),
        ({"block0_items": np.array(["a", "b", "c", "d"], "S6")}, "is not in list"),
        ({"block0_values": speeds().astype("S6")}, r"numbers of shape \(288, 4\), got \|S6"),
        (
            {"axis1": np.roll(np.arange(ROWS), 9) * 10**9},
            "row 10, column 'time' goes back from 1970-01",
        ),
    ],
)
def test_what_is_wrong_is_one_line(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = frame(tmp_path / "a.h5", **changed)
    with pytest.raises(DataError, match=message) as told:
        Series(path=str(path), window=12, horizon=12).setup()
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_table_with_the_newest_row_first_is_turned(tmp_path: Path) -> None:
    times = np.arange(ROWS)[::-1] * 10**9
    turned = Series(
        path=str(frame(tmp_path / "a.h5", speeds()[::-1], axis1=times)), window=12, horizon=12
    )
    same = Series(path=str(frame(tmp_path / "b.h5")), window=12, horizon=12)
    assert torch.equal(turned.splits.test[0].x, same.splits.test[0].x)
    assert "rows come newest first" in turned.notes[0]


def test_missing_values_are_refused_or_filled(tmp_path: Path) -> None:
    values = speeds()
    values[3, 1] = np.nan
    path = str(frame(tmp_path / "a.h5", values))
    with pytest.raises(DataError, match=r"row 4, column '767541' has no value \(nan\); mend it"):
        Series(path=path, window=12, horizon=12).setup()
    held = Series(path=path, window=12, horizon=12, missing="hold")
    assert held.splits.train[0].x[0, 3, 1] == np.float32(values[2, 1])
    assert held.survey().missing == 1


def test_damaged_and_empty_files_are_one_line(tmp_path: Path) -> None:
    path = frame(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:3000])
    for content in (path.read_bytes(), b"", b"time,a\n0,1\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not a readable table of pandas") as told:
            Series(path=str(path), window=12, horizon=12).setup()
        assert "\n" not in str(told.value)
