"""What is found in a person's files, and what a run says of files that are unlike it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from own_support import csv_folders, npz, tone, tones

from spikescan.data import Csv, DataError, Npz, TextFiles, Wav


def retimed(path: Path, step: float | None) -> None:
    """Give the lines of a file other times, or none."""
    head, *lines = [line.split(",", 1) for line in path.read_text().splitlines()]
    rows = [rest if step is None else f"{i * step:.2f},{rest}" for i, (_, rest) in enumerate(lines)]
    path.write_text("\n".join([head[1] if step is None else ",".join(head), *rows]))


def test_rates_are_those_of_the_files_that_know_one(tmp_path: Path) -> None:
    retimed(csv_folders(tmp_path) / "fast" / "a_1.csv", None)
    data = Csv(root=str(tmp_path))
    assert data.found.rate == 50
    told = (
        "1 of 12 sequences do not tell their rate, first fast/a_1.csv; it is taken to be that of "
        "the others"
    )
    assert told in data.survey()
    retimed(tmp_path / "fast" / "b_3.csv", 0.01)
    for use in (Csv(root=str(tmp_path)).survey, Csv(root=str(tmp_path)).setup):
        with pytest.raises(DataError, match=r"b_3\.csv has 100 samples a second, expected 50"):
            use()
    for path in tmp_path.rglob("*.csv"):
        if path.name not in ("a_1.csv",):
            retimed(path, None)
    data = Csv(root=str(tmp_path))
    assert data.found.rate is None
    assert not [line for line in data.survey() if "their rate" in line]


def test_a_recording_that_is_silent_or_cut_off_is_told(tmp_path: Path) -> None:
    import soundfile

    found = Wav(root=str(tones(tmp_path / "all"))).found
    assert (found.shortest, found.moving) == (800, ["amplitude"])
    data = Wav(root=str(tmp_path), found=found)
    data.read(tone(tmp_path / "whole.wav", 200))
    assert data.notes == []
    soundfile.write(tmp_path / "mute.wav", np.zeros(800), 8000)
    data.read(tmp_path / "mute.wav")
    assert data.notes == [
        f"{tmp_path / 'mute.wav'}: amplitude is the same throughout, as in no sequence of "
        "training; is anything recorded?"
    ]
    for length, told in ((400, 0), (399, 1), (2, 1), (1, 1)):
        soundfile.write(tmp_path / "cut.wav", 0.1 * np.arange(1, length + 1) % 1, 8000)
        data.read(tmp_path / "cut.wav")
        assert data.notes == told * [
            f"{tmp_path / 'cut.wav'} is {length} long, and the shortest of training 800; is it cut "
            "off?"
        ]


def test_what_stood_still_in_training_may_stand_still(tmp_path: Path) -> None:
    npz(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        arrays = dict(archive)
    arrays["x"][3, :, 1] = 7
    np.savez(tmp_path / "b.npz", **arrays)
    found = Npz(path=str(tmp_path / "b.npz")).found
    assert (found.shortest, found.moving) == (20, ["ax"])
    data = Npz(path=str(tmp_path), found=found)
    arrays["x"][:, :, 1] = 7
    arrays["x"][2, :, 0] = np.nan
    np.savez(tmp_path / "c.npz", **arrays)
    data.missing = "zero"
    data.read(tmp_path / "c.npz")
    (said,) = data.notes
    assert said.startswith(f"{tmp_path / 'c.npz'}: item 2: ax is the same throughout")


def test_a_text_that_is_cut_off_is_told(tmp_path: Path) -> None:
    for i in range(8):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[i % 2] / f"{i}.txt").write_text("word " * (10 + i))
    data = TextFiles(root=str(tmp_path))
    (tmp_path / "new.txt").write_text("word")
    data.read(tmp_path / "new.txt")
    assert data.notes == [
        f"{tmp_path / 'new.txt'} is 4 long, and the shortest of training 50; is it cut off?"
    ]
