"""Recordings of a person's own: any width, rate and channels; what is wrong with a file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from own_support import tone, tones

import spikescan
from spikescan.cli import main
from spikescan.data import Classes, DataError, Split, Wav

pytestmark = pytest.mark.usefixtures("no_pictures_here")


def test_facts_and_batches(tmp_path: Path) -> None:
    data = Wav(root=str(tones(tmp_path)), frame=8, batch_size=4)
    facts = data.facts
    assert facts.target == Classes(("high", "low"))
    assert (facts.length, facts.inputs, facts.rate, facts.scaled) == (120, 8, 1000.0, True)
    assert facts.channels == tuple(f"amplitude {i}" for i in range(8))
    assert [len(part) for part in data.splits] == [12, 2, 2]
    batch = next(iter(data.train_dataloader()))
    assert batch.x.shape == (4, int(batch.lengths.max()), 8)
    first = data.items[0]
    samples, _ = soundfile.read(tmp_path / first.name, dtype="float32", always_2d=True)
    assert np.array_equal(first.values.numpy(), samples)
    mean, std = data.statistics()
    assert mean.abs().max() < 0.1
    assert (std - 0.5 / 2**0.5).abs().max() < 0.05


def test_only_the_training_part_is_augmented(tmp_path: Path) -> None:
    data = Wav(root=str(tones(tmp_path)), shift=200, gain=6.0, speed=0.2)
    row = torch.tensor([0])
    train, val, test = data.splits
    assert not torch.equal(train.batch(row, 0).x, train.batch(row, 1).x)
    for part in (val, test):
        assert torch.equal(part.batch(row, 0).x, part.batch(row, 1).x)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_any_width(tmp_path: Path, subtype: str) -> None:
    tones(tmp_path, 3, subtype=subtype)
    (wave,) = Wav(root=str(tmp_path)).sequences(tmp_path / "low" / "a_0.wav")
    assert 0.45 < float(wave.values.abs().max()) < 0.6


def test_other_rates_and_channels_are_brought_to_one_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tones(tmp_path, 5)
    tone(tmp_path / "low" / "cd.wav", 200, rate=44_100, channels=2, subtype="PCM_24")
    data = Wav(root=str(tmp_path))
    assert data.rate == 8000
    data.setup()
    assert capsys.readouterr().out == (
        "1 of 11 recordings: 44,100 Hz resampled to 8,000 Hz\n"
        "1 of 11 recordings: 2 channels mixed to one\n"
    )
    (cd,) = [item.values for item in data.items if item.name == "low/cd.wav"]
    assert cd.shape == (800, 1)
    spectrum = np.abs(np.fft.rfft(cd[:, 0].numpy()))
    assert spectrum.argmax() * 8000 / 800 == 200
    # The highest rate that is taken unasked.
    (tmp_path / "high").rename(tmp_path / "middle")
    loud = tones(tmp_path / "loud", 3, rate=48_000)
    assert Wav(root=str(loud)).rate == 16_000
    assert Wav(root=str(loud), rate=48_000).rate == 48_000


def test_a_list_of_files_with_labels_and_groups(tmp_path: Path) -> None:
    tones(tmp_path / "all")
    rows = [
        (f"all/{name}/{'abcd'[i % 4]}_{i}.wav", name, "abcd"[i % 4])
        for name in ("low", "high")
        for i in range(8)
    ]
    path = tmp_path / "list.csv"
    write_csv(path, [("path", "label", "speaker"), *rows])
    data = Wav(path=str(path), split=Split(by="group"))
    assert len(data.items) == 16
    members = data.members()
    assert {part for _, _, group, part in members if group == "a"} in ({"train"}, {"val"}, {"test"})
    assert data.facts.target == Classes(("high", "low"))
    for row, message in (
        (("all/none.wav", "low", "a"), "line 18: there is no file"),
        (rows[0], "line 18: all/low/a_0.wav stands there already, in line 2"),
    ):
        write_csv(path, [("path", "label", "speaker"), *rows, row])
        with pytest.raises(DataError, match=message):
            Wav(path=str(path)).setup()
    write_csv(path, [("path",), *((row[0],) for row in rows)])
    with pytest.raises(DataError, match=r"has a column of paths and none of labels; call it label"):
        Wav(path=str(path)).setup()


def write_csv(path: Path, rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


REMOVE = "remove it, or write it anew"


def damaged(folder: Path, content: bytes) -> str:
    """The message about a folder with one file of this content."""
    path = tones(folder) / "low" / "a_0.wav"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        Wav(root=str(folder)).setup()
    message = str(error.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder}/").removeprefix("low/a_0.wav ")


def test_damaged_recordings_are_one_line(tmp_path: Path) -> None:
    whole = tone(tmp_path / "whole.wav", 100).read_bytes()
    there = (len(whole) - 44 - 100, len(whole) - 44)
    assert damaged(tmp_path / "a", whole[:-100]) == (
        "is truncated: {:,} of {:,} bytes of audio are there; {}".format(*there, REMOVE)
    )
    assert damaged(tmp_path / "a", b"") == f"is empty; {REMOVE}"
    assert damaged(tmp_path / "a", b"no recording") == (
        f"is not a readable recording (Format not recognised.); {REMOVE}"
    )
    assert damaged(tmp_path / "a", whole[:44].replace(whole[40:44], b"\0\0\0\0")) == (
        f"holds no sound; {REMOVE}"
    )
    flac = tone(tmp_path / "whole.flac", 100).read_bytes()
    assert "is" in damaged(tmp_path / "a", flac[: len(flac) // 2])
    nan = tmp_path / "nan.wav"
    soundfile.write(nan, np.array([0.0, np.nan, 0.5]), 8000, subtype="FLOAT")
    assert damaged(tmp_path / "a", nan.read_bytes()).startswith("is NaN or infinite 1 times")


def test_too_little_to_learn_from_is_one_line(tmp_path: Path) -> None:
    one = tmp_path / "one"
    tone(one / "only" / "a.wav", 100)
    with pytest.raises(DataError) as error:
        Wav(root=str(one)).setup()
    assert str(error.value) == f"{one} has one class only, 'only'; at least two are needed"
    tone(one / "other" / "a.wav", 100)
    with pytest.raises(DataError, match=r"^class 'only' has 1 item, and needs at least 3: one for"):
        Wav(root=str(one)).setup()
    with pytest.raises(DataError, match=f"^there is no {tmp_path}/nowhere$"):
        Wav(root=str(tmp_path / "nowhere")).setup()
    with pytest.raises(ValueError, match=r"^path or root must say where the files are, got"):
        Wav()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, no_pictures_here: None) -> Path:
    """A folder of recordings, trained with one command."""
    folder = tmp_path_factory.mktemp("mine")
    tones(folder / "sounds", 8)
    arguments = ["train", "--data", "wav", "--data.root", str(folder / "sounds"), "--name=run"]
    options = [f"--runs={folder}", "--model.features=16", "--trainer.max_epochs=2"]
    assert main([*arguments, *options]) == 0
    return folder / "run"


def test_a_folder_becomes_a_network_that_needs_it_no_more(run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())["data"]
    assert config["class_path"] == "spikescan.data.Wav"
    assert config["init_args"]["found"] == {
        "classes": ["high", "low"], "channels": ["amplitude"], "length": 960, "rate": 8000.0,
        "shortest": 800, "moving": ["amplitude"],
    }  # fmt: skip
    with (run / "splits.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert {row["part"] for row in rows} == {"train", "val", "test"}
    (run.parent / "sounds").rename(run.parent / "moved")
    try:
        task = spikescan.load(run)
        assert task.model.scale.std.min() > 0.1
    finally:
        (run.parent / "moved").rename(run.parent / "sounds")


def test_a_run_goes_on_with_the_same_items_only(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tone(run.parent / "sounds" / "low" / "new.wav", 200)
    assert main(["test", str(run)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"spikescan: the data are not those that {run} was trained on: ")
    assert error.count("\n") == 1
    assert main(["train", "--resume", str(run), "--trainer.max_epochs=3"]) == 2
    (run.parent / "sounds" / "low" / "new.wav").unlink()
    assert main(["test", str(run)]) == 0
