"""Folders and tables that may be read in two ways: refused or told, never taken without a word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from own_support import csv_folders, texts, tones

from spikescan.data import Csv, DataError, Npz, TextFiles, Wav
from spikescan.data.own.detect import kind_of
from spikescan.data.series import Series


def text_of_numbers(rows: int, columns: int, separator: str = " ") -> str:
    values = np.random.default_rng(0).standard_normal((rows, columns))
    return "\n".join(separator.join(f"{v:.3f}" for v in row) for row in values)


@pytest.mark.parametrize(
    "content",
    [
        text_of_numbers(100, 1),
        text_of_numbers(100, 3),
        text_of_numbers(20, 3, ";"),
        "x,y\n" + text_of_numbers(20, 2, ","),
        text_of_numbers(1, 178),
        "\n".join(map(str, range(4097))),
    ],
    ids=["column", "blanks", "semicolons", "names", "one line", "whole"],
)
def test_class_folders_of_numbers_are_not_taken_for_texts(tmp_path: Path, content: str) -> None:
    for i in range(12):
        file = tmp_path / "ab"[i % 2] / f"{i}.TXT"
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    with pytest.raises(DataError) as error:
        kind_of(tmp_path)
    assert str(error.value) == (
        f"{tmp_path} has texts of numbers, such as {tmp_path / 'a' / '0.TXT'}; if these are tables,"
        " a step a line, call them 0.csv and so on; --kind text reads them letter by letter"
    )


def test_texts_that_tell_of_numbers_are_texts(tmp_path: Path) -> None:
    texts(tmp_path)
    (tmp_path / "bad" / "1.txt").write_text("In 1984 there were 12 of 300 days with 5 sparrows.")
    assert kind_of(tmp_path) == "text"


@pytest.mark.parametrize(
    "names",
    [
        ("train_set", "test_set"),
        ("Training", "Testing"),
        ("TrainSet", "validation", "TestSet"),
        ("train-data", "val_data", "test-data"),
        ("training_dataset", "testing_dataset"),
    ],
)
def test_folders_of_parts_are_known_by_their_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        csv_folders(tmp_path / name, 12)
    data = Csv(root=str(tmp_path))
    assert data.found.classes == ["fast", "slow"]
    found = {item.name.partition("/")[0]: item.part for item in data.items}
    assert found == {
        name: next(p for p in ("train", "val", "test") if name.lower().startswith(p))
        for name in names
    }


@pytest.mark.parametrize("names", [("seg_train", "seg_test"), ("train 1", "test 1", "other")])
def test_folders_that_may_be_parts_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        csv_folders(tmp_path / name, 4)
    with pytest.raises(DataError) as error:
        Csv(root=str(tmp_path)).setup()
    assert str(error.value) == (
        f"{tmp_path}: the folders {names[0]} and {names[1]} seem to be parts; call them train and "
        "test (and val), or otherwise if these are classes"
    )


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    folder = texts(tmp_path)
    (folder / "good").rename(folder / "train")
    assert TextFiles(root=str(folder)).found.classes == ["bad", "train"]


def test_folders_of_speakers_above_those_of_classes_are_told(tmp_path: Path) -> None:
    for name in ("ann", "bob", "cy"):
        csv_folders(tmp_path / name, 12)
    data = Csv(root=str(tmp_path))
    assert data.found.classes == ["ann", "bob", "cy"]
    assert data.survey()[-1] == (
        "all class folders, such as ann, have the same folders in them, fast, slow: the upper ones "
        "are taken for the classes; if these are the lower ones, list the files in a CSV with the "
        "columns path and label, and maybe group"
    )
    (tmp_path / "cy" / "slow").rename(tmp_path / "cy" / "still")
    assert not [line for line in Csv(root=str(tmp_path)).survey() if "have the same" in line]


START = datetime(2019, 12, 30)


def wave(i: int) -> str:
    return f"{(7 * i) % 11 + 0.5}"


def write(path: Path, head: str | None, row: Callable[[int], str], rows: int = 120) -> Series:
    lines = [] if head is None else [head]
    path.write_text("\n".join([*lines, *(row(i) for i in range(rows))]))
    return Series(path=str(path), window=8, horizon=2)


def test_weeks_of_a_year_are_times(tmp_path: Path) -> None:
    def row(i: int) -> str:
        year, week, _ = (START + timedelta(weeks=i)).isocalendar()
        return f"{year},{week},{wave(i)}"

    data = write(tmp_path / "a.csv", "year,week,v", row)
    survey = data.survey()
    assert (survey.columns, survey.every, survey.gaps) == (["v"], 7 * 86400, 0)
    assert survey.notes[0] == "from 2019-12-30 00:00:00 to 2022-04-11 00:00:00"
    data = write(tmp_path / "b.csv", "Jahr,KW,v", lambda i: f"{2021 + i // 53},{1 + i % 53},1.{i}")
    with pytest.raises(DataError, match="line 54, column 'Jahr KW' must be a time"):
        data.survey()


def spans(i: int, form: str, between: str) -> str:
    begin, end = (datetime(2020, 1, 30) + timedelta(hours=j) for j in (i, i + 1))
    return f"{begin:{form}}{between}{end:{form}},{wave(i)}"


@pytest.mark.parametrize(
    ("head", "row", "following"),
    [
        ("MTU,v", lambda i: spans(i, "%d.%m.%Y %H:%M", " - "), "04.02.2020 00:00"),
        ("MTU (UTC),v", lambda i: spans(i, "%d/%m/%Y %H:%M:%S", " - "), "04/02/2020 00:00:00"),
        ("time,v", lambda i: spans(i, "%Y-%m-%dT%H:%M", " - "), "2020-02-04T00:00"),
        (
            "date,hours,v",
            lambda i: (
                f"{datetime(2020, 1, 30) + timedelta(hours=i):%Y-%m-%d}," + spans(i, "%H:%M", "-")
            ),
            "2020-02-04 00:00",
        ),
    ],
    ids=["dots", "slashes", "iso", "day and clocks"],
)
def test_spans_of_time_count_by_their_start(
    tmp_path: Path, head: str, row: Callable[[int], str], following: str
) -> None:
    data = write(tmp_path / "a.csv", head, row)
    survey = data.survey()
    assert (survey.columns, survey.every) == (["v"], 3600)
    assert survey.notes[0] == "from 2020-01-30 00:00:00 to 2020-02-03 23:00:00"
    data.read(tmp_path / "a.csv")
    assert next(iter(data.ahead.values()))[0] == following


def test_a_span_is_no_time_zone(tmp_path: Path) -> None:
    def row(i: int) -> str:
        return f"2020-01-{1 + i // 24:02d} {i % 24:02d}:00-{(i + 1) % 24:02d}:00,{wave(i)}"

    with pytest.raises(DataError, match="tell more than 4 time zones; if they are spans of time"):
        write(tmp_path / "a.csv", "time,v", row).survey()
    data = write(
        tmp_path / "b.csv", "time,v", lambda i: row(i).replace(f"{(i + 1) % 24:02d}:00,", "05:00,")
    )
    assert data.survey().every == 3600


@pytest.mark.parametrize("columns", [2, 3])
def test_halves_of_decimal_commas_are_refused_without_names(tmp_path: Path, columns: int) -> None:
    def row(i: int) -> str:
        day = START + timedelta(days=i)
        return ",".join([f"{day:%Y-%m-%d}", *(f"{15 + i % 7},{i * 7 % 100:02d}",) * (columns - 1)])

    with pytest.raises(DataError, match="line 1, 15,00, may be one number with a decimal comma"):
        write(tmp_path / "a.csv", None, row).survey()


def test_whole_numbers_without_names_are_read(tmp_path: Path) -> None:
    data = write(
        tmp_path / "a.csv",
        None,
        lambda i: f"{START + timedelta(days=i):%Y-%m-%d},{10 + i * 7 % 80},{10 + i * 3 % 90}",
    )
    assert data.survey().columns == ["1", "2"]


@pytest.mark.parametrize("name", ["run", "unit", "trial"])
def test_a_column_that_counts_runs_of_rows_is_told(tmp_path: Path, name: str) -> None:
    def said(first: int, each: int) -> list[str]:
        data = write(tmp_path / "a.csv", f"{name},v", lambda i: f"{first + i // each},{wave(i)}")
        return [note for note in data.survey().notes if "several series" in note]

    told = (
        f"a.csv: column {name!r} stands still for some rows, and goes on by one; if it tells "
        "several series apart, make each a column, or a file, of its own"
    )
    assert said(0, 60) == said(1, 20) == [told]
    assert not said(1, 2)


def classes(folder: Path, row: Callable[[int, int], str], head: str, rows: int = 40) -> Path:
    """Twelve files of two classes, 0 and 1; ``row`` is told the class and its step."""
    for i in range(12):
        file = folder / "ab"[i % 2] / f"{i}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{row(i % 2, t)},{i + t % 7}.5" for t in range(rows)]
        file.write_text("\n".join([f"{head},x", *lines]))
    return folder


def test_a_channel_of_words_is_named_with_those_of_numbers(tmp_path: Path) -> None:
    place = classes(tmp_path, lambda c, t: f"{t},{('walk', 'run')[c]}", "n,activity")
    with pytest.raises(DataError) as error:
        Csv(root=str(place)).setup()
    assert str(error.value) == (
        f"{place / 'a' / '0.csv'}: column 'activity' holds no number, but 'walk'; name the columns "
        'to read: --data.columns \'["n", "x"]\''
    )
    assert error.value.option


def test_a_channel_that_tells_the_class_is_told(tmp_path: Path) -> None:
    data = Csv(root=str(classes(tmp_path, lambda c, t: f"{c},7", "y,gain")))
    assert data.survey()[-2:] == [
        "the same throughout in every sequence: gain; if that is no measurement, leave it out",
        "the same throughout, and another one in each class, in every sequence: y; if that is no "
        "measurement, leave it out",
    ]


def test_a_channel_that_float32_cannot_tell_is_refused(tmp_path: Path) -> None:
    place = classes(tmp_path, lambda c, t: f"{t / 50},{1600000000000 + 20 * t}", "time,epoc")
    with pytest.raises(DataError, match=r"too little for float32 .* say --data\.time epoc;"):
        Csv(root=str(place)).setup()
    assert Csv(root=str(place), time="epoc", columns=["x"]).found.rate == 50
    near = classes(tmp_path / "near", lambda c, t: f"{101325 + t % 5 / 10:.1f}", "pressure")
    assert Csv(root=str(near)).found.channels == ["pressure", "x"]


def test_files_of_many_columns_and_few_lines_are_told(tmp_path: Path) -> None:
    head = ",".join(f"c{i}" for i in range(30))
    place = classes(tmp_path, lambda c, t: ",".join(str(t + i) for i in range(30)), head, 3)
    assert [line for line in Csv(root=str(place)).survey() if "turn the table" in line] == [
        "12 files have many more columns than lines, and a line is read as a step; if it is a "
        "channel, turn the table, if it is a sequence, write an .npz file of all"
    ]


@pytest.mark.parametrize(("at", "name"), [(0, "0"), (50, "50")])
def test_lines_that_may_be_sequences_are_told(tmp_path: Path, at: int, name: str) -> None:
    def row(i: int) -> str:
        cells = [f"{(i * 7 + j * 5) % 13 + 0.25}" for j in range(50)]
        return ",".join([*cells[:at], f"{i % 3}.0", *cells[at:]])

    assert write(tmp_path / "a.csv", None, row).survey().notes[-1] == (
        f"a.csv: if each line is a sequence, and column {name!r} its class, write an .npz file of "
        "them, with x (N, T) and y (N,)"
    )


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%m/%d/%y", "years"])
def test_a_table_that_lies_is_refused(tmp_path: Path, form: str) -> None:
    days = [START + timedelta(days=i) for i in range(30)]
    names = [f"{1960 + i}" if form == "years" else f"{d:{form}}" for i, d in enumerate(days)]
    head = ",".join(["Country", "Lat", *names])
    data = write(tmp_path / "a.csv", head, lambda i: f"Land {i}" + ",1.5" * 31)
    with pytest.raises(DataError) as error:
        data.survey()
    assert str(error.value) == (
        f"{tmp_path / 'a.csv'}: columns are called by times, {names[0]} to {names[-1]}; turn the "
        "table, so that each time is a line and each series a column, or name the columns to "
        "forecast in --data.columns"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("\n".join(map(str, range(400))), "holds little but numbers, and not two and more in each"),
        (
            "***End***\n\nX\tVolt\n" + text_of_numbers(50, 2, "\t"),
            "seems to be a table that begins with line 3; say --data.skip 2; --kind text reads it",
        ),
        ("Met\n" + "1 2 3 4 5\n1 2 3 4\n" * 30, "holds little but numbers, and not two and more"),
    ],
)
def test_one_text_of_numbers_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(content)
    with pytest.raises(DataError) as error:
        kind_of(path)
    assert str(error.value).startswith(f"{path} {said}")


def test_bars_separate_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["time|a|b", *(f"{i}|{wave(i)}|{wave(3 * i)}" for i in range(60))]))
    assert Series(path=str(path), window=8, horizon=2).survey().columns == ["a", "b"]


def archive(path: Path, fill: float | None) -> Path:
    """Sequences of 30 to 53 steps, filled up to 60, or none of them filled."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((24, 60, 2)).astype(np.float32)
    if fill is not None:
        for i in range(24):
            x[i, 30 + i :] = fill
    np.savez(path, x=x, y=np.arange(24) % 2)
    return path


def test_archives_that_are_filled_up_are_told(tmp_path: Path) -> None:
    def said(fill: float | None) -> list[str]:
        data = Npz(path=str(archive(tmp_path / "a.npz", fill)), missing="zero")
        return [line for line in data.survey() if line.startswith(("x holds", "24 sequences end"))]

    ends = (
        "24 sequences end in steps that are all alike; if these fill up what is shorter, give "
        "lengths"
    )
    assert said(None) == []
    assert said(0.0) == said(np.nan) == [ends]
    mark = "x holds -999, far from all other values; if that stands for none, write NaN"
    assert said(-999.0) == [mark, ends]


def test_recordings_of_several_scales_and_silent_ones_are_told(tmp_path: Path) -> None:
    import soundfile

    place = tones(tmp_path)
    samples, rate = soundfile.read(place / "low" / "a_0.wav")
    soundfile.write(place / "low" / "a_0.wav", 32768 * samples, rate, subtype="FLOAT")
    soundfile.write(place / "low" / "b_1.wav", 0 * samples, rate)
    lines = Wav(root=str(place)).survey()
    (far,) = [line for line in lines if "beyond" in line]
    assert far.startswith("1 of 16 recordings go far beyond -1 to 1, up to 1.")
    assert far.endswith("e+04; if others do not, bring all to one scale")
    assert "1 of 16 sequences stand still throughout, first low/b_1.wav" in lines


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("a.mp3", "is not read; turn it into .wav"),
        ("a.mat", "is not read; write its arrays to an .npz file, or its table as CSV"),
    ],
)
def test_folders_of_files_that_can_be_turned_into_others(
    tmp_path: Path, name: str, hint: str
) -> None:
    (tmp_path / "low").mkdir()
    (tmp_path / "low" / name).write_bytes(b"\xff\xfb")
    with pytest.raises(DataError) as error:
        kind_of(tmp_path)
    assert str(error.value).endswith(f".npz, .ts; {tmp_path / 'low' / name} {hint}")


def test_texts_in_a_table_are_told_where_they_go(tmp_path: Path) -> None:
    data = write(tmp_path / "a.csv", "review,mood", lambda i: f'"It was {i}, or so",{"ab"[i % 2]}')
    with pytest.raises(DataError, match="; texts are read from files, one each, in a folder for"):
        data.survey()
