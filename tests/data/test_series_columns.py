"""Which cells of a table are numbers, and which columns measurements: what is not clear is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikescan.cli import main
from spikescan.data import Csv, DataError
from spikescan.data.own.detect import kind_of, of_classes
from spikescan.data.own.table import Table
from spikescan.data.series import Series

ROWS = 40
DAYS = [str(np.datetime64("2020-01-01") + i) for i in range(ROWS)]


def write(path: Path, head: str | None, row: Callable[[int], str]) -> Path:
    path.write_text("\n".join([*([] if head is None else [head]), *map(row, range(ROWS)), ""]))
    return path


def series(path: Path) -> Series:
    return Series(path=str(path), window=4, horizon=2)


def fault(path: Path) -> str:
    with pytest.raises(DataError) as error:
        series(path).setup()
    assert "\n" not in str(error.value)
    return str(error.value).replace(str(path), "X")


def wave(i: int) -> float:
    return (7 * i) % 11 + 0.5


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_are_read_where_no_comma_separates(tmp_path: Path, separator: str) -> None:
    path = write(
        tmp_path / "a.csv",
        separator.join(["Datum", "Last [kW]", "n"]),
        lambda i: separator.join(
            [f"{1 + i % 28:02d}.{1 + i // 28:02d}.2020", f"{wave(i)}".replace(".", ","), f"{i % 7}"]
        ),
    )
    data = series(path)
    assert data.facts.channels == ("Last [kW]", "n")
    assert data.survey().every == 86400
    assert data._values[:, 0].tolist() == [wave(i) for i in range(ROWS)]
    said = "a.csv: commas in numbers are decimal ones, 0,5 is 0.5"
    assert said in data.survey().notes


def test_decimal_commas_of_class_files(tmp_path: Path) -> None:
    for label in "ab":
        for k in range(3):
            path = tmp_path / label / f"{k}.csv"
            path.parent.mkdir(exist_ok=True)
            write(
                path, "time;u", lambda i, k=k: f"{i / 100:.2f};{wave(i + k):.3f}".replace(".", ",")
            )
    data = Csv(root=str(tmp_path))
    assert (data.facts.rate, data.facts.channels) == (100, ("u",))
    assert data.items[0].values[:, 0].tolist() == [wave(i) for i in range(ROWS)]


@pytest.mark.parametrize(
    ("head", "row", "said"),
    [
        (
            None,
            lambda i: f"21,{i % 10}",
            "X: line 1, 21,0, may be one number with a decimal comma or two numbers; write the one "
            "with a point, or put a line of names above the two",
        ),
        (
            "v",
            lambda i: f"21,{i % 10}",
            "X: line 2 has 2 cells, expected 1; where commas are decimal ones, write points; if "
            "lines stand above that of the names, --data.skip says how many",
        ),
        (
            "a,v",
            lambda i: f'{wave(i)},"10,0{i}.5"',
            "X: line 2, column 'v' must be a number, got '10,00.5'",
        ),
        (
            "a,v",
            lambda i: f'{wave(i)},"10,{100 + i}.5"',
            "X: line 2, column 'v' must be a number, got '10,100.5'; say --data.decimal with",
        ),
        (
            "a;v",
            lambda i: f"{wave(i)};10,5".replace(".", ",") if i else "1.000,5;1,5",
            "X: line 2, column 'a' must be a number, got '1.000,5'; say --data.decimal with the",
        ),
        (
            "a;v",
            lambda i: f"{i % 7},5;5.024",
            "X: line 2 has '0,5' with a comma, line 2 '5.024' with a point; say --data.decimal",
        ),
        (
            "a\tv",
            lambda i: f"{1 + i % 7},500\t3",
            "X: line 2, column 'a': the mark of '1,500' may be a decimal one or separate",
        ),
        (
            "a;v",
            lambda i: f"{i % 7},5;{i % 5}" if i < 30 else "Summe;5",
            "X: line 32, column 'a' must be a number, got 'Summe'",
        ),
        (
            None,
            lambda i: f"{100 + (3 * i) % 7},{5 * (i % 5)}",
            "X: the first line, 100,0, may be one of names or of values; write names that are no",
        ),
        (
            "date,v,c",
            lambda i: f"{DAYS[i]},{wave(i)},",
            "X: column 'c' holds nothing; name the columns to forecast: --data.columns '[\"v\"]'",
        ),
        (
            "date,v,c",
            lambda i: f"{DAYS[i]},{wave(i)},rain",
            "X: column 'c' holds no number, but 'rain'; name the columns to forecast: --data.colu",
        ),
        (
            "date,v,c",
            lambda i: f"{DAYS[i]},{wave(i)},1950Q{1 + i % 4}",
            "X: column 'c' holds no number, but '1950Q1'; name the columns to forecast: --data.co",
        ),
        (
            "date,v",
            lambda i: f"{DAYS[i]},{'inf' if i == 9 else wave(i)}",
            "X: line 11, column 'v' has no value ('inf')",
        ),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused(
    tmp_path: Path, head: str | None, row: Callable[[int], str], said: str
) -> None:
    assert fault(write(tmp_path / "a.csv", head, row)).startswith(said)


def test_a_first_line_of_values_loses_no_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", None, lambda i: f"{DAYS[i]},{wave(i)}")
    data = series(path)
    assert (data.survey().rows, data.facts.channels, data.survey().every) == (ROWS, ("1",), 86400)
    assert data.survey().notes[1] == (
        "a.csv: the first line holds values, no names; columns are called by their number, from 0"
    )
    assert Series(path=str(path), header=False).survey().rows == ROWS


@pytest.mark.parametrize("head", ["0,1", ",0", "773869,767541"])
def test_names_may_be_numbers(tmp_path: Path, head: str) -> None:
    path = write(tmp_path / "a.csv", head, lambda i: f"{wave(i)},{wave(i + 3)}")
    assert Table(path, header=True).names == head.split(",")


def test_columns_that_measure_nothing_are_left_out_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        tmp_path / "a.csv",
        ",date,v,c,year,t",
        lambda i: f"{i},{DAYS[i]},{wave(i)},5,{1960 + i},{i / 300:.4f}",
    )
    data = series(path)
    assert data.facts.channels == ("v",)
    data.setup()
    told = [
        f"a.csv: column {name!r} {what} and is left out; to forecast it, name it in --data.columns"
        + (", or if it tells the time in --data.time" if "grows" in what else "")
        for name, what in (
            ("", "grows by 1 in each row"),
            ("c", "is 5 throughout"),
            ("year", "grows by 1 in each row"),
            ("t", "grows by 0.00333 in each row"),
        )
    ]
    assert capsys.readouterr().out.splitlines() == told
    assert data.notes == told
    assert data.survey().notes[1:] == told
    named = Series(path=str(path), columns=["c", "v"], window=4, horizon=2)
    assert named.facts.channels == ("c", "v")
    assert named.survey().notes[1:] == []
    # A row number that has lost rows is still one.
    path = write(tmp_path / "b.csv", ",date,v", lambda i: f"{i * i},{DAYS[i]},{wave(i)}")
    assert series(path).facts.channels == ("v",)


def test_cells_beyond_the_last_column_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Date;T;;", lambda i: f"{DAYS[i]};{i % 7},5;;")
    data = series(path)
    assert data.facts.channels == ("T",)
    assert "a.csv: each line ends in 2 cells without a name or value" in data.survey().notes
    path = write(tmp_path / "b.csv", "date,T,,", lambda i: f"{DAYS[i]},{wave(i)},,{i}")
    assert fault(path) == "X: line 1 names column '' twice"


def test_the_separator_is_as_often_in_the_next_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Force, N;at rest", lambda i: f"{i % 7},5;{i % 5}")
    write(tmp_path / "b.csv", "Force; N,at rest, s", lambda i: f"{i % 7},{wave(i)},1")
    assert Table(tmp_path / "b.csv").names == ["Force; N", "at rest", "s"]
    assert Table(path).names == ["Force, N", "at rest"]


def test_what_is_missing_counts_infinite_values(tmp_path: Path) -> None:
    row = ("inf", "", "1e999")
    path = write(tmp_path / "a.csv", "v", lambda i: row[i] if i < 3 else str(wave(i)))
    path.write_text(path.read_text().replace("\n\n", "\nnan\n"))
    assert Series(path=str(path), missing="hold").survey().missing == 3


@pytest.mark.parametrize(
    ("head", "cells", "said"),
    [
        (
            "sample_id,u,label",
            "{s},{w},{k}",
            "'label' may be that of the classes, and 'sample_id' tell sequences apart; if so, say "
            "--kind csv --data.id sample_id",
        ),
        (
            "id,u,activity",
            "{s},{w},{k}",
            "'id' may tell them apart, and no column is called label or labels or class or target "
            "or category, as 'activity' may be; if they have classes, say --kind csv --data.label "
            "activity",
        ),
        (
            "id,u",
            "{s},{w}",
            "'id' may tell them apart, and no column is called label or labels or class or target "
            "or category; if they have classes, say --kind csv --data.label COLUMN",
        ),
        (
            "u,label",
            "{w},{k}",
            "column 'label' may be that of the classes, and none called id or sequence or "
            "sequence_id says which sequence a row belongs to; add one, or name it: --kind csv "
            "--data.id COLUMN",
        ),
        ("u,target", "{w},{w}", None),
        ("u,v", "{w},{k}", None),
    ],
)
def test_init_says_why_a_table_is_not_taken_for_classes(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    head: str,
    cells: str,
    said: str | None,
) -> None:
    path = write(
        tmp_path / "long.csv",
        head,
        lambda i: cells.format(s=i // 8, w=wave(i), k=i // 8 % 2),
    )
    assert kind_of(path) == "series"
    told = None if said is None else f"long.csv is not taken for sequences of classes: {said}"
    assert of_classes(Table(path)) == told
    assert (main(["init", str(path)]) == 0) is ("id" not in head)
    assert ("not taken" in "".join(capsys.readouterr())) is (told is not None)
    if "label" in head:
        words = write(
            tmp_path / "words.csv",
            head,
            lambda i: cells.format(s=i // 8, w=wave(i), k="ab"[i // 8 % 2]),
        )
        assert main(["init", str(words)]) == 2
        assert "cannot be forecast, as 'label' is no number; words" in capsys.readouterr().err


def test_windows_that_no_file_holds_are_refused_before_a_network_is_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.csv", "date,v", lambda i: f"{DAYS[i]},{wave(i)}")
    recipe = tmp_path / "r.yaml"
    assert main(["init", str(path), "-o", str(recipe)]) == 0
    capsys.readouterr()
    for columns in ([], ["--data.columns=[v]"]):
        asked = ["train", str(recipe), "--data.window=1000000000", f"--runs={tmp_path}", *columns]
        assert main(asked) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "1,000,000,000" in said
    assert main(["train", str(recipe), "--data.window=1e9", f"--runs={tmp_path}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("mark", [".", ","])
def test_marks_that_may_separate_thousands_are_refused(
    tmp_path: Path, separator: str, mark: str
) -> None:
    def file(row: Callable[[int], str]) -> Path:
        return write(tmp_path / "a.csv", f"n{separator}v", lambda i: f"{i % 7}{separator}{row(i)}")

    said = f"X: line 3, column 'v': the mark of '1{mark}001' may be a decimal one or separate thou"
    assert said in fault(file(lambda i: f"1{mark}{i:03d}" if i % 3 == 1 else "999"))
    for row in (lambda i: f"{i % 2}{mark}250", lambda i: f"3{mark}1{25 if i else 255}"):
        assert series(file(row)).facts.channels == ("n", "v")
    commas = write(tmp_path / "b.csv", "n,v", lambda i: f"{i % 7},5.00{i % 9}")
    assert series(commas).facts.channels == ("n", "v")


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("date,sensor_id,v", lambda i: f"{DAYS[i]},{i % 3},{wave(i)}"),
        ("date,sensor,v", lambda i: f"{DAYS[i]},{'abc'[i % 3]},{wave(i)}"),
        ("date,Store,v", lambda i: f"{DAYS[i]},{i // 20},{wave(i)}"),
        ("sensor,step,v", lambda i: f"{i // 10},{i % 10},{wave(i)}"),
    ],
)
def test_several_series_below_each_other_are_refused(
    tmp_path: Path, head: str, row: Callable[[int], str]
) -> None:
    path = write(tmp_path / "a.csv", head, row)
    name = next(n for n in head.split(",") if n not in ("date", "v"))
    said = f"X: column {name!r} seems to tell several series apart"
    assert said in fault(path)
    with pytest.raises(DataError, match="seems to tell several series apart"):
        Series(path=str(path), window=4, horizon=2, columns=["v"]).read(path)


def test_a_sensor_of_a_door_is_a_measurement(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "door_sensor,v", lambda i: f"{i // 20},{wave(i)}")
    assert series(path).facts.channels == ("door_sensor", "v")


def test_a_measurement_that_is_called_like_an_id_is_read_when_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "date,meter,v", lambda i: f"{DAYS[i]},{i % 7},{wave(i)}")
    assert "if it is a measurement, name it in --data.columns" in fault(path)
    named = Series(path=str(path), columns=["meter", "v"], window=4, horizon=2)
    assert len(named.splits.train) > 0


def test_a_label_in_words_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "date,label,v", lambda i: f"{DAYS[i]},w{i},{wave(i)}")
    with pytest.raises(DataError, match=r"'label' is no number; leave it out with --data.columns"):
        kind_of(path)


def test_measurements_of_few_whole_numbers_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        "weekday,open,device,v",
        lambda i: f"{i % 7},{i // 20},{i // 4 % 2},1.{i}",
    )
    data = series(path)
    assert data.facts.channels == ("weekday", "open", "device", "v")
    assert (
        "a.csv: if column 'device' tells several series apart, make each a column, or a file, "
        in (data.survey().notes[0])
    )


def test_a_last_row_that_is_the_sum_of_all_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "v,w", lambda i: f"{wave(i)},{i % 5 + 1}")
    above = path.read_text()
    assert series(path).facts.channels == ("v", "w")
    sums = f"{sum(map(wave, range(ROWS)))},{sum(i % 5 + 1 for i in range(ROWS))}"
    path.write_text(f"{above}{sums}\n")
    assert fault(path).startswith("X: line 42 is the sum of all rows above it")


def test_a_forecast_needs_no_values_but_those_of_its_window(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "v", lambda i: str(wave(i)))
    data = Series(path=str(path), window=4, horizon=2, columns=["v"])
    expected = data.read(path)[0][1].x
    old = write(tmp_path / "old.csv", "v,w", lambda i: f"{wave(i) if i != 9 else ''},0")
    assert data.read(old)[0][1].x.equal(expected)
    new = write(tmp_path / "new.csv", "v,w", lambda i: f"{wave(i) if i != 37 else ''},0")
    with pytest.raises(DataError, match="line 39, column 'v' has no value") as error:
        data.read(new)
    assert "missing=" not in str(error.value)
    held = Series(path=str(path), window=4, horizon=2, columns=["v"], missing="hold")
    assert held.read(new)[0][1].x[0, :, 0].tolist() == [wave(i) for i in (36, 36, 38, 39)]


def test_lines_above_the_names_are_no_part_of_the_table(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", "sep=;\n# of 2020\n# a; v in mm\nn;v", lambda i: f"{i % 7};{wave(i)}"
    )
    data = series(path)
    assert data.facts.channels == ("n", "v")
    assert "a.csv: the first 3 lines are no part of the table" in data.survey().notes
    path.write_text(path.read_text().replace("10.5", "ten"))
    assert "line 8, column 'v' must be a number, got 'ten'" in fault(path)
    names = write(tmp_path / "b.csv", "# of 2020\n#n,v", lambda i: f"{i % 7},{wave(i)}")
    assert series(names).facts.channels == ("n", "v")
    blanks = write(tmp_path / "c.dat", "# t v", lambda i: f"{i % 7} {wave(i)}")
    assert series(blanks).facts.channels == ("t", "v")
    assert "c.dat: blanks separate the cells" in series(blanks).survey().notes
    bars = write(tmp_path / "d.csv", "sep=|\nn|v", lambda i: f"{i % 7}|{wave(i)}")
    assert series(bars).facts.channels == ("n", "v")
