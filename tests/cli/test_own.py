"""Own files from the command line: a recipe for them, a network, and what it says of files."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import spikescan
from data.own_support import csv_folders, csv_long, npz, series, texts, tone, tones, ts
from spikescan.cli import main
from spikescan.data import Split
from spikescan.ops._core.cpu import BUILT

PLACES = {
    "wav": lambda folder: tones(folder / "sounds"),
    "csv": lambda folder: csv_folders(folder / "moves"),
    "npz": lambda folder: npz(folder / "waves.npz"),
    "ts": lambda folder: ts(folder / "waves.ts"),
    "text": lambda folder: texts(folder / "texts"),
    "series": lambda folder: series(folder / "load.csv"),
}
SHORT = ["--model.features=8", "--model.depth=1", "--trainer.max_epochs=1"]

pytestmark = pytest.mark.usefixtures("no_pictures_here")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, no_pictures_here: None) -> Path:
    """A run of each kind, whose data are gone."""
    folder = tmp_path_factory.mktemp("own")
    for kind, make in PLACES.items():
        place = make(folder / kind) if (folder / kind).mkdir() is None else folder
        path = "path" if place.is_file() else "root"
        options = [f"--data.{path}={place}", f"--name={kind}", f"--runs={folder / 'runs'}"]
        assert main(["train", "--data", kind, *options, *SHORT]) == 0, kind
        shutil.rmtree(folder / kind)
    return folder / "runs"


def test_a_folder_of_images_says_how_they_get_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "1.PNG").touch()
    assert main(["init", str(tmp_path)]) == 2
    assert "; images go in as the arrays of an .npz file" in capsys.readouterr().err


@pytest.mark.parametrize("kind", PLACES)
def test_init_finds_out_what_files_are(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, recipe = PLACES[kind](tmp_path), tmp_path / "recipe.yaml"
    assert main(["init", str(place), "-o", str(recipe)]) == 0
    told = capsys.readouterr().out
    assert told.endswith(f"spikescan train {recipe}\n")
    text = recipe.read_text()
    made = yaml.safe_load(text)
    assert made["title"] == f"{place.name} ({kind})"
    name = {"csv": "Csv", "text": "TextFiles", "series": "Series"}.get(kind)
    assert made["data"]["class_path"] == f"spikescan.data.{name or kind.capitalize()}"
    comments = [line for line in text.splitlines() if line.startswith("# ")]
    assert comments == told.splitlines()[:-1]
    found = " ".join(comments)
    assert "missing values: 0" in found
    if kind == "series":
        assert "240 rows; columns to forecast: load, heat" in found
        assert "a row every 3600 s; 24 rows a season" in found
    else:
        assert "in 2 classes" in found
        assert made["data"]["init_args"]["split"] == asdict(Split(by="file"))
        assert "parts: train" in found
    # Nothing is overwritten.
    assert main(["init", str(place), "-o", str(recipe)]) == 2
    assert capsys.readouterr().err == (
        f"spikescan: {recipe} exists already; choose another --output\n"
    )


def test_init_counts_what_is_missing_and_training_refuses_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = csv_long(tmp_path / "long.csv")
    lines = path.read_text().splitlines()
    lines[4] = "r0,0.06,,?,slow,a"
    path.write_text("\n".join(lines))
    assert main(["init", str(path)]) == 0
    told = capsys.readouterr().out
    assert "# missing values: 2, in 1 sequences; training refuses them: say missing: hold" in told
    assert main(["init", str(path), "--data.missing", "hold"]) == 0
    assert "# missing values: 2, in 1 sequences\n" in capsys.readouterr().out
    (tmp_path / "r.yaml").write_text(told)
    assert main(["train", str(tmp_path / "r.yaml"), f"--runs={tmp_path}", *SHORT]) == 2
    assert capsys.readouterr().err == (
        f"spikescan: {path}: line 5, column 'ax' has no value (''); mend it, or say missing='hold' "
        "or missing='zero'\n"
    )


def hourly(path: Path, values: np.ndarray) -> Path:
    days = (f"2020-{1 + t // 672:02d}-{1 + t // 24 % 28:02d}" for t in range(len(values)))
    rows = (f"{day} {t % 24:02d}:00:00,{values[t]:.5f}" for t, day in enumerate(days))
    path.write_text("\n".join(["date,rate", *rows, ""]))
    return path


@pytest.mark.parametrize(
    ("shape", "base"),
    [
        (lambda t, noise: noise.cumsum(), "last"),
        (lambda t, noise: np.sin(2 * np.pi * t / 24) + 0.1 * noise, "season"),
        (lambda t, noise: noise, "mean"),
    ],
    ids=["walk", "wave", "noise"],
)
def test_init_forecasts_relative_to_the_best_naive_answer(
    tmp_path: Path,
    shape: Callable[[np.ndarray, np.ndarray], np.ndarray],
    base: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = shape(np.arange(960), np.random.default_rng(0).standard_normal(960))
    assert main(["init", str(hourly(tmp_path / "rate.csv", values))]) == 0
    told = capsys.readouterr().out
    assert "; 24 rows a season" in told
    assert f"relative to the {base}: squared errors without learning, on training rows: " in told
    assert yaml.safe_load(told)["task"]["init_args"]["relative_to"] == base


def test_init_refuses_a_series_that_training_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hourly(tmp_path / "rate.csv", np.arange(3.0))
    assert main(["init", str(path), "--kind", "series"]) == 2
    assert capsys.readouterr().err == (
        f"spikescan: {path}: the training part has 2 rows to read, windows of 2 with a horizon of "
        "1 need at least 4\n"
    )


def test_init_of_a_series_counts_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hourly(tmp_path / "rate.csv", np.arange(240.0))
    path.write_text(path.read_text().replace(",77.00000", ",").replace(",78.00000", ","))
    assert main(["init", str(path)]) == 0
    told = capsys.readouterr().out
    assert "# missing values: 2; training refuses them: say missing: hold, or zero" in told
    assert main(["init", str(path), "--data.missing", "zero"]) == 0
    assert "# missing values: 2\n" in capsys.readouterr().out
    assert "missing" not in yaml.safe_load(told)["data"]["init_args"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere", None, "there is no {}"),
        ("a.wav", b"", "{} is one recording, which has no class; give the folder"),
        ("a.bin", b"\xfb\xfe\x00", "{} is not UTF-8 text (byte 0xfb at 0); save it as UTF-8"),
        ("list.csv", b"path,label\na.mp4,x\n", "{} lists a.mp4, and files are read that end in"),
    ],
)
def test_what_init_does_not_know(
    name: str,
    content: bytes | None,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert main(["init", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("spikescan: " + message.format(path))
    assert error.count("\n") == 1
    assert main(["init", str(tmp_path / "nothing_here")]) == 2


def test_a_text_alone_is_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, recipe = tmp_path / "story.txt", tmp_path / "story.yaml"
    path.write_text("Once upon a time there was a neuron that never fired. " * 30)
    assert main(["init", str(path), f"--output={recipe}"]) == 0
    assert "# 1,620 characters, 20 different ones\n" in capsys.readouterr().out
    assert main(["train", str(recipe), f"--runs={tmp_path}", "--name=story", *SHORT]) == 0
    assert "bits per character" in capsys.readouterr().out.replace("_", " ")
    assert main(["predict", str(tmp_path / "story"), str(path)]) == 2
    assert capsys.readouterr().err == (
        "spikescan: Text reads no single files; spikescan.load(run).predict takes a tensor, as the "
        "data set gives it\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "wavs"], "--data must be one of wav, csv, npz, ts, series, text, or the path"),
        (["--data", "wav"], "path or root must say where the files are, got neither"),
        (["--data=wav", "--data.rot=x"], "unknown option --data.rot; did you mean --data.root?"),
        (
            ["--data=ts", "--data.path=x", "--data.split.by=speaker"],
            "--data.split.by must be one of 'file', 'group', 'time', got 'speaker'",
        ),
        (
            ["--data=ts", "--data.path=x", "--data.split.val=2"],
            "split.val must be between 0 and 1, got 2.0",
        ),
    ],
)
def test_mistakes_about_own_files_are_told(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"spikescan: {message}")
    assert error.count("\n") == 1


@pytest.mark.parametrize("kind", PLACES)
def test_predict_needs_no_data_set(
    kind: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = PLACES[kind](tmp_path)
    file = place if place.is_file() else sorted(f for f in place.rglob("*") if f.is_file())[0]
    capsys.readouterr()
    assert main(["predict", str(runs / kind), str(file)]) == 0
    words = capsys.readouterr().out.splitlines()
    assert main(["predict", str(runs / kind), str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert words == [f"{one['name']}: {one['prediction']}" for one in told]
    assert len(told) == (12 if kind in ("npz", "ts") else 1)
    assert main(["predict", str(runs / kind), str(file), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    if kind == "series":
        forecast = told[0]["forecast"]
        # In the unit of the file, which the network was not trained in.
        assert 470 < sum(forecast["heat"]) / len(forecast["heat"]) < 530
        assert [float(row["heat"]) for row in rows] == forecast["heat"]
        assert len(rows) == 6
    else:
        assert [row["class"] for row in rows] == [one["class"] for one in told]
        assert sum(told[0]["probabilities"].values()) == pytest.approx(1)


def test_predictions_are_those_of_the_trained_network(runs: Path, tmp_path: Path) -> None:
    file = csv_folders(tmp_path) / "slow" / "a_0.csv"
    from spikescan.train.predict import predictions

    (told,) = predictions(runs / "csv", [file])
    rows = list(csv.DictReader(file.open()))
    x = torch.tensor([[[float(row["ax"]), float(row["ay"])] for row in rows]])
    assert spikescan.load(runs / "csv").predict(x) == [told["prediction"]]


def test_values_far_from_those_of_training_are_told(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = csv_folders(tmp_path) / "slow" / "a_0.csv"
    rows = [line.split(",") for line in file.read_text().splitlines()]
    thousandth = tmp_path / "milli.csv"
    thousandth.write_text(
        "\n".join(",".join(rows[0]) if not i else f"{t},{x},{1000 * float(y)}"
                  for i, (t, x, y) in enumerate(rows))
    )  # fmt: skip
    capsys.readouterr()
    assert main(["predict", str(runs / "csv"), str(file)]) == 0
    assert not capsys.readouterr().err
    assert main(["predict", str(runs / "csv"), str(thousandth)]) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"{thousandth}: the values of ay, about 1")
    assert said.endswith("; another unit?\n")
    assert said.count("\n") == 1
    timeless = tmp_path / "timeless.csv"
    timeless.write_text("\n".join(",".join(row[1:]) for row in rows))
    assert main(["predict", str(runs / "csv"), str(timeless)]) == 0
    assert capsys.readouterr().err == (
        f"{timeless}: no column tells the time; its lines are taken to be 50 a second\n"
    )
    file = series(tmp_path / "load.csv")
    head, *lines = file.read_text().splitlines()
    assert head == "date,load,heat"
    cells = (line.split(",") for line in lines)
    file.write_text("\n".join([head, *(f"{t},{1000 * float(x)},{y}" for t, x, y in cells)]))
    assert main(["predict", str(runs / "series"), str(file)]) == 0
    assert f"{file}: the values of load, about " in capsys.readouterr().err


def test_what_only_training_can_be_told_is_said_so(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = csv_folders(tmp_path) / "slow" / "a_0.csv"
    head, first, *lines = file.read_text().splitlines()
    file.write_text("\n".join([head, f"{first.rpartition(',')[0]},1'000.5", *lines]))
    assert main(["predict", str(runs / "csv"), str(file)]) == 2
    said = capsys.readouterr().err
    assert 'got "1\'000.5"; say --data.decimal with' in said
    assert said.endswith("; these are options of training: mend the file\n")
    named = file.with_name("no --data.option, missing=.csv")
    named.write_text("time,ax\n0,1\n")
    assert main(["predict", str(runs / "csv"), str(named)]) == 2
    assert capsys.readouterr().err.endswith(".csv has no column 'ay', only time, ax\n")


@pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
def test_a_stream_reads_files_as_predictions_do(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns by name, several channels mixed to one, and what does not fit refused."""
    file = csv_folders(tmp_path) / "slow" / "a_0.csv"
    rows = [line.split(",") for line in file.read_text().splitlines()]
    swapped = tmp_path / "swapped.csv"
    swapped.write_text("\n".join(f"{ay},{time},{ax}" for time, ax, ay in rows))
    both = tone(tmp_path / "both.wav", 200, channels=2)
    told = {}
    for kind, path in (("csv", file), ("csv", swapped), ("wav", both)):
        capsys.readouterr()
        assert main(["stream", str(runs / kind), str(path), "--json"]) == 0
        told[path] = json.loads(capsys.readouterr().out)
        assert main(["predict", str(runs / kind), str(path)]) == 0
        assert capsys.readouterr().out == f"{path}: {told[path]['answer']}\n"
    assert told[swapped]["answer"] == told[file]["answer"]
    assert told[swapped]["steps"] == len(rows) - 1
    long = csv_long(tmp_path / "long.csv")
    assert main(["stream", str(runs / "csv"), str(long)]) == 2
    words = f"spikescan: {long} must hold one sequence to be streamed, got 12\n"
    assert capsys.readouterr().err == words


def test_files_that_do_not_fit_a_run_are_one_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("time,ax,az\n0,1,2\n0.02,2,2\n")
    fast = tmp_path / "fast.csv"
    fast.write_text("time,ax,ay\n0,1,2\n0.01,2,2\n")
    few = tmp_path / "few.csv"
    few.write_text("date,load,heat\n2020-01-01,1,2\n")
    cd = tone(tmp_path / "cd.wav", 200, rate=44_100, channels=2)
    for kind, file, message in (
        ("csv", other, f"{other} has no column 'ay', only time, ax, az"),
        ("csv", fast, f"{fast} has 100 samples a second, expected 50; --data.time ignore takes "
                      "steps as they stand; these are options of training: mend the file"),
        ("csv", tmp_path / "none.csv", f"there is no file {tmp_path / 'none.csv'}"),
        ("csv", tmp_path, f"{tmp_path} is a folder; name the files in it"),
        ("series", few, f"{few} has 1 rows, fewer than the 24 of a window"),
        ("wav", few, f"{few} is not a readable recording (Format not recognised.); remove it, "
                     "or write it anew"),
    ):  # fmt: skip
        assert main(["predict", str(runs / kind), str(file)]) == 2
        assert capsys.readouterr().err == f"spikescan: {message}\n"
    assert main(["predict", str(runs / "wav"), str(cd)]) == 0
    assert "44,100 Hz resampled to 8,000 Hz" in capsys.readouterr().err
    assert main(["predict", str(runs / "wav")]) == 2
    assert "which files?" in capsys.readouterr().err
