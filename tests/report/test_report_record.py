"""Reading the metrics of a run, and the checks of its record."""

from pathlib import Path

import numpy as np
import pytest

from spikescan.report import RasterRecord, read_history

# As CSVLogger writes it: each phase in rows of its own, the learning rate without an epoch.
SPARSE = """\
epoch,lr-AdamW,step,test/accuracy,train/accuracy,train/loss,val/accuracy,val/loss
,0.001,0,,,,,
0,,9,,,,0.5,1.5
0,,9,,0.25,2.0,,
1,,19,,,,0.75,nan
1,,19,,0.5,1.0,,
1,,20,0.7,,,,
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "metrics.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_sparse_rows_become_series(tmp_path: Path) -> None:
    history = read_history(write(tmp_path, SPARSE))
    assert {metric: set(phases) for metric, phases in history.items()} == {
        "accuracy": {"train", "val", "test"},
        "loss": {"train", "val"},
    }
    expected = {
        ("loss", "train"): ([1, 2], [2.0, 1.0]),
        ("loss", "val"): ([1, 2], [1.5, np.nan]),
        ("accuracy", "train"): ([1, 2], [0.25, 0.5]),
        ("accuracy", "val"): ([1, 2], [0.5, 0.75]),
        ("accuracy", "test"): ([2], [0.7]),
    }
    for (metric, phase), (epochs, values) in expected.items():
        np.testing.assert_array_equal(history[metric][phase][0], epochs)
        np.testing.assert_array_equal(history[metric][phase][1], values)


def test_values_of_one_epoch_are_averaged(tmp_path: Path) -> None:
    text = "epoch,step,train/loss\n0,1,3\n0,2,1\n1,3,5\n"
    epochs, values = read_history(write(tmp_path, text))["loss"]["train"]
    assert epochs.tolist() == [1, 2]  # people count from 1
    assert values.tolist() == [2.0, 5.0]


def test_epoch_twin_is_taken_and_suffix_dropped(tmp_path: Path) -> None:
    text = "epoch,step,train/loss_step,train/loss_epoch,train/rate_step\n0,1,9,,0.5\n0,2,,4,\n"
    history = read_history(write(tmp_path, text))
    assert history["loss"]["train"][1].tolist() == [4.0]
    assert history["rate"]["train"][1].tolist() == [0.5]


def test_epochs_come_out_ascending(tmp_path: Path) -> None:
    text = "epoch,step,val/loss\n2,1,3\n0,1,1\n1,1,2\n"
    epochs, values = read_history(write(tmp_path, text))["loss"]["val"]
    assert epochs.tolist() == [1, 2, 3]
    assert values.tolist() == [1.0, 2.0, 3.0]


def test_last_line_cut_off_and_no_rows(tmp_path: Path) -> None:
    history = read_history(write(tmp_path, "epoch,step,train/loss,val/loss\n0,1,2,3\n1,2"))
    assert history["loss"]["val"][0].tolist() == [1]
    assert read_history(write(tmp_path, "epoch,step,train/loss\n")) == {}


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"metrics_csv: got columns \['step'\].*'epoch'"):
        read_history(write(tmp_path, "step\n1\n"))
    with pytest.raises(ValueError, match=r"metrics_csv: got columns \[\]"):
        read_history(write(tmp_path, ""))
    with pytest.raises(ValueError, match=r"got 'low' in column 'train/loss', line 2"):
        read_history(write(tmp_path, "epoch,train/loss\n0,low\n"))


def test_raster_shapes_are_checked() -> None:
    def make(x: np.ndarray, spikes: np.ndarray) -> RasterRecord:
        return RasterRecord(input=x, spikes={"a": spikes}, words="class 0")

    good = np.zeros((5, 2))
    make(good, np.zeros((5, 3), dtype=bool))
    with pytest.raises(ValueError, match=r"input: got shape \(5,\), expected \(T, Din\)"):
        make(np.zeros(5), good)
    with pytest.raises(ValueError, match=r"input: got shape \(0, 2\)"):
        make(np.zeros((0, 2)), np.zeros((0, 3)))
    with pytest.raises(ValueError, match=r"input: got NaN"):
        make(np.full((5, 2), np.nan), good)
    with pytest.raises(ValueError, match=r"spikes\['a'\]: got shape \(4, 3\).*T = 5"):
        make(good, np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"spikes\['a'\]: got values that are negative"):
        make(good, -np.ones((5, 3)))
