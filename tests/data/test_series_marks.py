"""How numbers are written, and what stands for none: told, found out, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import yaml

from spikescan.cli import main
from spikescan.data import Csv, DataError
from spikescan.data.own.detect import kind_of
from spikescan.data.own.marks import marker
from spikescan.data.own.table import Table
from spikescan.data.series import Series

ROWS = 40


def wave(i: int) -> float:
    return (7 * i) % 13 + 0.5


def write(path: Path, head: str | None, row: Callable[[int], str]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*([] if head is None else [head]), *map(row, range(ROWS)), ""]))
    return path


def series(path: Path, **options: Any) -> Series:
    return Series(path=str(path), **{"window": 4, "horizon": 2, **options})


@pytest.mark.parametrize(
    ("separator", "decimal", "cell", "value"),
    [
        (";", ",", lambda i: f"100,{100 + i}", lambda i: 100.1 + i / 1000),
        (";", ".", lambda i: f"100,{100 + i}", lambda i: 100100.0 + i),
        (";", ",", lambda i: f"1.{100 + i}", lambda i: 1100.0 + i),
        (";", ".", lambda i: f"1.{100 + i}", lambda i: 1.1 + i / 1000),
        ("\t", ",", lambda i: f"-1.000.{100 + i},5", lambda i: -1000100.5 - i),
        (",", ".", lambda i: f'"1,{100 + i}.5"', lambda i: 1100.5 + i),
        (",", ",", lambda i: f'"{i},5"', lambda i: i + 0.5),
    ],
)
def test_the_decimal_mark_may_be_told(
    tmp_path: Path,
    separator: str,
    decimal: Literal[".", ","],
    cell: Callable[[int], str],
    value: Callable[[int], float],
) -> None:
    path = write(
        tmp_path / "a.csv",
        f"n{separator}v",
        lambda i: f"{7 * i % 5}{separator}{cell(7 * i % ROWS)}",
    )
    data = series(path, decimal=decimal)
    assert data.facts.channels == ("n", "v")
    expected = np.array([value(7 * i % ROWS) for i in range(ROWS)])
    np.testing.assert_allclose(data._values[:, 1].numpy(), expected, rtol=1e-12)


def test_a_point_is_no_separator_where_it_cannot_be(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "t;v", lambda i: f"{i // 24}.{i % 24:02d};1{i % 7}.25")
    with pytest.raises(DataError, match=r"line 2, column 'v' has '10.25', whose point separates"):
        series(path, decimal=",", columns=["v"]).setup()


def test_two_columns_may_be_told_from_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", None, lambda i: f"21,{7 * i % 10}")
    assert Table(path, decimal=".").names == ["0", "1"]


def test_init_keeps_the_decimal_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.csv", "v;w", lambda i: f"1,{100 + 7 * i % 23};{i % 7}")
    assert main(["init", str(path)]) == 2
    assert "say --data.decimal '.' or --data.decimal ','" in capsys.readouterr().err
    for option in (["--data.decimal", ","], ["--data.decimal=,"]):
        assert main(["init", str(path), *option]) == 0
        assert yaml.safe_load(capsys.readouterr().out)["data"]["init_args"]["decimal"] == ","


MARKED = [
    (lambda i: "-999" if i == 9 else str(wave(i)), "-999 once"),
    (lambda i: "-999.0" if i % 9 == 1 else str(i % 14), "-999 5 times"),
    (lambda i: "-99.9" if i % 9 == 1 else str(wave(i)), "-99.9 5 times"),
    (lambda i: "9999" if i % 9 == 1 else str(wave(i)), "9999 5 times"),
    (lambda i: "-200" if i % 9 == 1 else str(wave(i)), "-200 5 times"),
    (lambda i: "-32768" if i in (3, 4) else str(wave(i)), "-32768 2 times"),
    (lambda i: ("-9999" if i % 9 == 1 else "9999") if i % 3 == 1 else str(wave(i)), "-9999 5 ti"),
    (lambda i: "-99" if i % 9 == 1 else str(10 * (i % 11)), "-99 5 times"),
]


@pytest.mark.parametrize(("cell", "said"), MARKED)
def test_a_number_that_seems_to_stand_for_none_is_refused(
    tmp_path: Path, cell: Callable[[int], str], said: str
) -> None:
    path = write(tmp_path / "a.csv", "u,v", lambda i: f"{i % 7},{cell(i)}")
    with pytest.raises(DataError) as error:
        series(path).setup()
    told = str(error.value)
    assert told.startswith(f"{path}: column 'v' holds {said}")
    assert "\n" not in told
    mark = told.partition("--data.na_values '[")[2].partition("]")[0]
    assert series(path, na_values=[]).facts.channels == ("u", "v")
    marks = [float(mark), 9999.0]
    expected = sum(float(cell(i)) in marks for i in range(ROWS))
    absent = series(path, na_values=marks, missing="hold")
    assert absent.survey().missing == expected
    assert absent._values[:, 1].min() >= 0
    with pytest.raises(DataError, match="has no value"):
        series(path, na_values=marks).setup()


@pytest.mark.parametrize(
    "values",
    [
        np.append(np.arange(20.0), 40),  # one high value
        np.append(np.arange(10.0, 500, 10), [999]),  # a price
        np.append(np.arange(-20.0, 100), -99),  # a cold day
        np.repeat([0.0, 1000.0], 50),  # a switch
        np.append(np.zeros(50), np.arange(30.0) ** 2),  # rain
        np.append(np.zeros(50), np.arange(1200.0, 1260)),  # a machine, on or off
        np.append(np.arange(20.0), [400, 400]),  # two peaks
        np.append(np.arange(20.0), np.full(5, np.nan)),
        np.full(30, np.nan),
        np.arange(0.0),
    ],
)
def test_values_that_measure_are_read(values: np.ndarray) -> None:
    assert marker(values) is None


def test_a_time_keeps_its_points_where_the_decimal_mark_is_a_comma(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", "time;v", lambda i: f"{0.98 + i / 100:.3f};1,{100 + 7 * i % 23}"
    )
    data = series(path, decimal=",")
    assert data.survey().every == pytest.approx(0.01)
    assert data._values[0].item() == 1.1


def test_one_column_with_decimal_commas_tells_of_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "u;v", lambda i: f"{i % 7},5;12,{100 + 7 * i % 23}")
    assert series(path)._values[0].tolist() == [0.5, 12.1]


def test_words_may_stand_for_no_value(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "v,w", lambda i: f"{'M' if i % 9 == 1 else wave(i)},{i % 7}")
    with pytest.raises(DataError, match="line 3, column 'v' must be a number, got 'M'"):
        series(path).setup()
    assert series(path, na_values=["M"], missing="hold").survey().missing == 5


def test_classes_have_such_marks_too(tmp_path: Path) -> None:
    path = tmp_path / "b" / "1.csv"
    write(path, "u;v", lambda i: f"{i % 5};{-999 if i in (3, 8) else 100 + 7 * i % 13}")
    with pytest.raises(DataError, match="column 'v' holds -999 2 times"):
        Csv(root=str(tmp_path)).sequences(path)
    (item,) = Csv(root=str(tmp_path), na_values=[-999], missing="hold").sequences(path)
    assert int(item.values.isnan().sum()) == 2


def test_the_command_line_takes_such_marks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.csv", "v", lambda i: "-999" if i % 9 == 1 else str(wave(i)))
    assert main(["init", str(path)]) == 2
    assert "if it stands for no value, say --data.na_values '[-999]'" in capsys.readouterr().err
    said = ["--data.na_values", "[-999]", "--data.missing", "hold"]
    assert main(["init", str(path), *said]) == 0
    text = capsys.readouterr().out
    assert yaml.safe_load(text)["data"]["init_args"]["na_values"] == [-999]
    assert "5 values are missing" in text or "missing values: 5" in text
    assert main(["init", str(path), "--data.na_values", "[]"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["data"]["init_args"]["na_values"] == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_text_of_two_bytes_a_letter_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("größe\tv\n1\t2\n3\t5\n", encoding=encoding)
    assert Table(path).names == ["größe", "v"]


@pytest.mark.parametrize(
    ("name", "head", "row", "kind"),
    [
        ("exchange_rate.txt", None, lambda i: f"0.{i % 7}7,1.{i % 5},{i % 3}.25", "series"),
        ("power.txt", "Date;Time;a;b", lambda i: f"{i % 28 + 1}/1/2020;0:00:00;1.5;?", "series"),
        ("tale.txt", None, lambda i: f"Once, and {i} times, she said.", "text"),
        ("tale.txt", None, lambda i: f'"Come in," said {i}.', "text"),
        ("sales_train.tsv", "u\tv", lambda i: f"{i % 7}\t{wave(i)}", "series"),
    ],
)
def test_a_text_of_numbers_in_columns_is_a_table(
    tmp_path: Path, name: str, head: str | None, row: Callable[[int], str], kind: str
) -> None:
    assert kind_of(write(tmp_path / name, head, row)) == kind


def test_one_mark_that_is_told_hides_no_other(tmp_path: Path) -> None:
    cells = {1: "-999", 2: "M", 3: "-99.9"}
    path = write(tmp_path / "a.csv", "v", lambda i: cells.get(i % 9, str(wave(i))))
    known: list[float | str] = ["M"]
    for mark in (-999, -99.9):
        data = series(path, na_values=known, missing="hold")
        said = f"column 'v' holds {mark:g} 5 times, far from all other"
        assert any(said in note and note.endswith("; is it a value?") for note in data._chosen[2])
        known.append(mark)
    data = series(path, na_values=[str(m) for m in known], missing="hold")
    assert data._chosen[2] == []
    assert data._values.min() > 0


@pytest.mark.parametrize(
    "cells",
    [
        lambda i: str(-999 if i % 9 == 1 else i % 4),  # few kinds
        lambda i: str(-99 if i % 9 == 1 else 20 * (i % 41)),  # as far as the others go
        lambda i: "-999",  # a sensor that is not there
    ],
)
def test_what_is_never_negative_reaches_no_nines(cells: Callable[[int], str]) -> None:
    values = np.array([float(cells(i)) for i in range(ROWS)])
    assert marker(values) in (-999, -99)


@pytest.mark.parametrize(
    ("cell", "value"),
    [("15 612,3", 15612.3), ("15'037,7", 15037.7), ("1\u202f015,5", 1015.5), ("0,070", 0.07)],
)
def test_thousands_stand_apart_by_blanks_and_apostrophes_too(
    tmp_path: Path, cell: str, value: float
) -> None:
    path = write(tmp_path / "a.csv", "n;v", lambda i: f"{i % 7};{cell if i % 3 else '2,5'}")
    data = series(path, decimal=",")
    assert {*data._values[:, 1].tolist()} == {value, 2.5}


def test_a_number_that_begins_with_zero_has_no_thousands(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "v;w", lambda i: f"13,{i + 10};0.{i + 100}")
    with pytest.raises(DataError, match=r"column 'w' has '0.100', whose point separates no thou"):
        series(path, decimal=",").setup()


def test_what_may_be_a_word_for_nothing_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "v", lambda i: "---" if i == 5 else str(wave(i)))
    with pytest.raises(DataError, match=r"say --data.na_values '\[\"---\"\]'"):
        series(path).setup()
    path = write(tmp_path / "b.csv", "v", lambda i: str(wave(i)) if i else "°C")
    with pytest.raises(DataError, match=r"line 2 holds no .* if the line holds units, take it out"):
        series(path, columns=["v"]).setup()


def test_decimal_commas_are_read_below_a_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "n;v", lambda i: f"{i % 7};{f'{i % 9},5' if i else '-'}")
    data = series(path, na_values=["-"], missing="hold")
    assert data._values[1:, 1].tolist() == [i % 9 + 0.5 for i in range(1, ROWS)]


def test_numbers_apart_by_blanks_are_a_table(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dat", " u   v", lambda i: f"  {i % 7}   {wave(i)}")
    assert kind_of(path) == "series"
    data = series(path)
    assert data.facts.channels == ("u", "v")
    assert data._values[:, 1].tolist() == [wave(i) for i in range(ROWS)]


def test_a_first_line_of_whole_numbers_is_told_to_be_one_of_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "12,7", lambda i: f"{wave(i)},{wave(i + 3)}")
    said = "a.csv: the first line, 12,7, is taken for one of names; if it holds values, say "
    assert any(note.startswith(said) for note in series(path).survey().notes)
    assert series(path, header=False).survey().rows == ROWS + 1
    path = write(tmp_path / "b.csv", "0,1", lambda i: f"{wave(i)},{wave(i + 3)}")
    assert series(path).survey().notes == []


def test_values_that_float32_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "v", lambda i: str(1_700_000_000 + wave(i)))
    with pytest.raises(DataError, match=r"column 'v' is 17000000.*take a constant off its values"):
        series(path).setup()


def test_a_forecast_from_a_column_that_has_stopped_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "u,v", lambda i: f"{wave(i)},{wave(i + 5)}")
    data = series(path, missing="hold", columns=["u", "v"])

    def ends_in(cell: str) -> Path:
        return write(
            tmp_path / "b.csv", "u,v", lambda i: f"{wave(i) if i < 36 else cell},{wave(i + 5)}"
        )

    with pytest.raises(DataError, match="column 'u' has no value in the last 4 rows"):
        data.read(ends_in(""))
    data.read(ends_in("-999"))
    assert any("column 'u' holds -999 4 times; is it a value?" in note for note in data.notes)


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet", "a.mat", "a.npy"])
def test_files_that_can_be_turned_into_others_are_known(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\x80")
    with pytest.raises(DataError, match=r"save it as CSV|write its arrays"):
        kind_of(tmp_path / name)
