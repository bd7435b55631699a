"""Every fault of a person's files is one line that says where it is and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from own_support import csv_folders, csv_long, npz, texts, ts

from spikescan.data import Csv, DataError, Npz, OwnFiles, TextFiles, Ts


def fault(data: OwnFiles) -> str:
    """The one line about these files, their folder left out."""
    with pytest.raises(DataError) as error:
        data.setup()
    message = str(error.value)
    assert "\n" not in message
    return message.replace(str(data.place), "X") if data.place.is_file() else message


LONG = [
    # line to change, its new text (None to take it out), what is said
    (1, "id,time,ax,ax,label,subject", "X: line 1 names column 'ax' twice"),
    (
        3,
        "r0,0.02,a,1,slow,a",
        "X: line 3, column 'ax' must be a number, got 'a'; if it stands for no value, say "
        "--data.na_values '[\"a\"]'",
    ),
    (
        3,
        "r0,0.02,,1,slow,a",
        "X: line 3, column 'ax' has no value (''); mend it, or say missing='hold' or "
        "missing='zero'",
    ),
    (3, "r0,0.02,1_0,1,slow,a", "X: line 3, column 'ax' must be a number, got '1_0'"),
    (3, "r0,0.02,1,1,slow", "X: line 3 has 5 cells, expected 6"),
    (3, ",0.02,1,1,slow,a", "X: line 3 has no id"),
    (
        3,
        "r0,0.02,1,1,fast,a",
        "X: line 3, column 'label' has 'fast', expected 'slow' as in line 2, where its sequence "
        "begins",
    ),
    (3, "r0,-1,1,1,slow,a", "X: line 3, column 'time' goes from 0.00 to -1; times must rise"),
    (
        30,
        "r0,0,1,1,slow,a",
        "X: line 30: id 'r0' comes again, after that of line 2; the rows of a sequence must follow "
        "each other",
    ),
    (3, 'r0,0.02,"1,1,slow,a', "X: line {last} is no CSV (unexpected end of data)"),
]


@pytest.mark.parametrize(("line", "text", "message"), LONG, ids=[m[:40] for _, _, m in LONG])
def test_long_csv(tmp_path: Path, line: int, text: str, message: str) -> None:
    path = csv_long(tmp_path / "long.csv")
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join([*lines, ""]))
    assert fault(Csv(path=str(path))) == message.format(last=len(lines))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "X is empty; remove it, or write it anew"),
        (b"id,label,a\n", "X must have a line of names and one of values"),
        (b"id,label\nr,a\n", "X has no column of measurements"),
        (
            b"id,label,a\nr,caf\xe9,1\n",
            "X is not UTF-8 text (byte 0xe9 at 16); save it as UTF-8",
        ),
        (b"id,label,a\nr,a,\x00\n", "X is not text: it holds zero bytes"),
        (b"id,label,a\nr,a,1\n", "X has one class only, 'a'; at least two are needed"),
        (
            b"id,label,a\nr,a,1\ns,b,1\n",
            "class 'a' has 1 item, and needs at least 3: one for each part of the data",
        ),
        (b"id,label,a\nr,a,nan\ns,b,1\n", "X: line 2, column 'a' has no value ('nan')"),
        (b"id,a\nr,1\n", "X: r has no label"),
    ],
)
def test_files_that_say_too_little(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    assert fault(Csv(path=str(path))).startswith(message)


def test_a_column_without_any_value_cannot_be_held(tmp_path: Path) -> None:
    path = csv_folders(tmp_path) / "slow" / "a_0.csv"
    path.write_text("time,ax,ay\n0,1,\n0.02,2,\n")
    message = fault(Csv(root=str(tmp_path), missing="hold"))
    assert message == ("slow/a_0.csv has no value to repeat in channel 1: all are NaN or infinite")


def test_files_of_other_columns_or_rates(tmp_path: Path) -> None:
    path = csv_folders(tmp_path) / "slow" / "a_0.csv"
    path.write_text("time,ax,az\n0,1,2\n0.02,2,2\n")
    assert fault(Csv(root=str(tmp_path))) == (
        "slow/a_0.csv has the channels ax, az, expected ax, ay"
    )
    path.write_text("time,ax,ay\n0,1,2\n0.01,2,2\n")
    assert fault(Csv(root=str(tmp_path))) == (
        "slow/a_0.csv has 100 samples a second, expected 50; --data.time ignore takes steps as they"
        " stand"
    )


OBJECTS = np.array([{}, 1], dtype=object)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3)}, "X: x must be numbers of shape (N, T, C) or (N, T), got float64 (3,)"),
        (
            {"y": np.zeros((2, 2), int)},
            "X: y must be words or whole numbers, one for each of the 12 sequences, got int64 of",
        ),
        ({"y": np.zeros(12)}, "X: y must be words or whole numbers, one for each of the 12"),
        ({"lengths": np.ones(12)}, "X: lengths must be whole numbers of shape (N,), got float64"),
        ({"lengths": np.arange(12)}, "X: lengths must be at least 1, got 0"),
        ({"lengths": np.full(12, 30)}, "X: lengths must be at most 29, one for each of the 12"),
        ({"channels": np.array(["a"])}, "X: channels must be words of shape (2,), got <U1 (1,)"),
        ({"rate": np.array(-1.0)}, "X: rate must be one positive number, got -1.0"),
        (
            {"classes": np.array(["a"])},
            "X: item 0 has the label 'slow', expected one of the",
        ),
        ({"y": OBJECTS}, "X is not a readable archive: it holds Python objects, which are not unp"),
        ({"x": np.full((12, 29, 2), 1e300)}, "item 0 is NaN or infinite 40 times, the first at"),
    ],
)
def test_archives(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    path = npz(tmp_path / "a.npz", **arrays)
    assert fault(Npz(path=str(path))).startswith(message)


def test_archives_that_are_none(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz")
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[:200], whole[: len(whole) // 2]):
        path.write_bytes(content)
        assert fault(Npz(path=str(path))).startswith("X is not a readable archive: ")
    np.save(tmp_path / "b.npy", np.zeros(3))
    (tmp_path / "b.npy").rename(path)
    assert fault(Npz(path=str(path))) == (
        "X is one array, expected an archive that numpy.savez writes"
    )


TS = [
    ("@timeStamps true", "X: line 9: series with time stamps are not read; write values alone"),
    ("@targetLabel true", "X: line 9: the targets are numbers, not classes, which is not read"),
    ("@dimensions two", "X: line 9: dimensions must be a whole number, got 'two'"),
    ("@dimensions 3", "X: line 11 has 2 dimensions, expected 3 by its header"),
    ("@seriesLength 9", "X: line 11 has 20 values, expected 9 by @seriesLength"),
    ("@classLabel true", "X: line 9 must name the classes, as @classLabel true a b"),
    ("@classLabel true slow", "X: line 12: the class 'fast' is not one of slow"),
    ("words", "X: line 9 must begin with @, as @data comes later"),
    ("@data\n1,2:1,x:slow", "X: line 10, dimension 1, value 1 must be a number or ?, got 'x'"),
    ("@data\n1,2:1:slow", "X: line 10: its dimensions have different lengths, [1, 2]"),
]


@pytest.mark.parametrize(("head", "message"), TS)
def test_ts(tmp_path: Path, head: str, message: str) -> None:
    assert fault(Ts(path=str(ts(tmp_path / "a.ts", head=head)))) == message


def test_texts(tmp_path: Path) -> None:
    path = texts(tmp_path) / "good" / "0.txt"
    path.write_bytes(b"")
    assert fault(TextFiles(root=str(tmp_path))) == f"{path} is empty; remove it, or write it anew"
    path.write_bytes(b"na\xefve")
    assert fault(TextFiles(root=str(tmp_path))) == (
        f"{path} is not UTF-8 text (byte 0xef at 2); save it as UTF-8, or say which it is, "
        "as in --data.encoding cp1252"
    )


def test_what_is_larger_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    csv_folders(tmp_path)
    monkeypatch.setattr(os, "sysconf", lambda name: 64)
    said = fault(Csv(root=str(tmp_path)))
    assert "GB of files; all are held in memory, at about twice that, and this machine has" in said
