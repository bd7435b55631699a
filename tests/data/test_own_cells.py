"""Cells, lines of units, and names of arrays that are not as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from own_support import npz, texts

from spikescan.data import Csv, DataError, Npz, TextFiles
from spikescan.data.own.columns import measured
from spikescan.data.own.detect import kind_of
from spikescan.data.own.table import Table
from spikescan.data.series import Series
from spikescan.data.text import Text

ROWS = [f"2024-01-{1 + i // 24:02d} {i % 24:02d}:00,{i * 7 % 13}.5,{i * 5 % 11}" for i in range(99)]


def fault(use: object) -> str:
    with pytest.raises(DataError) as error:
        use()  # type: ignore[operator]
    return str(error.value)


@pytest.mark.parametrize("end", ["csv", "dat"])
@pytest.mark.parametrize("above", [["ts,volt,temp", "s,V,degC"], ["ts,volt,temp", "TS,,", ",Avg,"]])
def test_lines_of_units_are_refused_with_a_way_out(
    tmp_path: Path, end: str, above: list[str]
) -> None:
    path = tmp_path / f"a.{end}"
    path.write_text("\n".join([*above, *ROWS]))
    said = fault(lambda: kind_of(path) and None)
    which = "line 2 holds" if len(above) == 2 else "lines 2 to 3 hold"
    mend = "if the line holds units, take it out"
    if len(above) > 2:
        mend = "leave one line, of names, above the values"
    assert said == (
        f"{path}: {which} no number, as those below do, but {', '.join(above[1].split(','))}; "
        f"{mend}, or say --data.skip {len(above)}, which calls columns by their number"
    )
    assert kind_of(path, skip=len(above)) == "series"
    data = Series(path=str(path), skip=len(above), window=8, horizon=2)
    assert data.survey().columns == ["1", "2"]
    assert data.survey().every == 3600
    assert "no number, as those below do" in fault(Series(path=str(path)).survey)


def test_the_four_lines_of_a_logger_are_refused(tmp_path: Path) -> None:
    head = ['"TOA5","CR1000X","CR1000X","12","prog"', '"TS","V","T"', '"TS","V","C"', '"","A","A"']
    path = tmp_path / "a.dat"
    path.write_text("\n".join([*head, *ROWS]))
    assert fault(lambda: kind_of(path)).startswith(
        f"{path} seems to be a table that begins with line 2; say --data.skip 1; --kind text"
    )
    assert "lines 3 to 4 hold no number" in fault(lambda: Table(path, skip=1))
    assert kind_of(path, skip=4) == "series"
    path.write_text("It was a day, as I said,\nand so, on we went\n" * 40)
    assert kind_of(path) == "text"


@pytest.mark.parametrize("blank", [" ", "\n\n", "\t \r\n"])
def test_texts_of_white_space_alone_are_refused(tmp_path: Path, blank: str) -> None:
    place = texts(tmp_path / "all")
    (place / "good" / "0.txt").write_text(blank)
    said = f"{place / 'good' / '0.txt'} holds nothing but white space"
    assert fault(TextFiles(root=str(place)).setup).startswith(said)
    (tmp_path / "one.txt").write_text(blank * 1000)
    assert "nothing but white space" in fault(Text(path=str(tmp_path / "one.txt")).setup)


def column(path: Path, cells: Sequence[str]) -> Table:
    path.write_text("t;v\n" + "\n".join(f"{i};{cell}" for i, cell in enumerate(cells)))
    return Table(path)


@pytest.mark.parametrize(
    ("cells", "values", "note"),
    [
        (["$1.00", "$2.50", "-$3"], [1, 2.5, -3], "$ is taken off numbers"),
        (["5%", "6.5 %", ""], [5, 6.5, np.nan], "% is taken off numbers"),
        (["1,5 €", "2,25 €"], [1.5, 2.25], "€ is taken off numbers"),
        (["\u22121.5", "2", "\u22123e-2"], [-1.5, 2, -0.03], "\u2212 is read as -"),
        (["\u2212$1.5", "$2"], [-1.5, 2], "$ is taken off numbers"),
    ],
)
def test_signs_that_a_whole_column_carries_are_read(
    tmp_path: Path, cells: list[str], values: list[float], note: str
) -> None:
    table = column(tmp_path / "a.csv", cells)
    np.testing.assert_array_equal(table.values(["v"], "zero")[:, 0], values)
    assert [line for line in table.notes if line.endswith(f"column 'v': {note}")]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["$1", "2"], "'$1'; signs are read where all numbers of a column carry the same"),
        (["$1", "€2"], "'$1'; signs are read where all numbers of a column carry the same"),
        (["1.5", "(1.5)"], "'(1.5)'; if it is below zero, write -1.5"),
    ],
)
def test_signs_of_some_numbers_are_refused(tmp_path: Path, cells: list[str], said: str) -> None:
    table = column(tmp_path / "a.csv", cells)
    assert fault(lambda: table.values(["v"], "zero")).endswith(said)


def test_numbers_with_signs_name_no_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\u22121.5,$2\n1,$3\n4,$5\n")
    table = Table(tmp_path / "a.csv")
    assert table.values(["0", "1"], "zero").tolist() == [[-1.5, 2], [1, 3], [4, 5]]


@pytest.mark.parametrize("names", [("X", "y"), ("x_train", "y_train"), ("data", "target")])
def test_archives_of_other_names_say_how_arrays_are_called(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **dict(zip(names, (np.ones((4, 5)), np.arange(4)), strict=True)))
    assert fault(Npz(path=str(path)).setup) == (
        f"{path} has no array x, only {', '.join(names)}; call the sequences x, (N, T, C) or "
        "(N, T), and their labels y, (N,)"
    )
    np.savez(path, x=np.ones((4, 5)), label=np.arange(4))
    assert fault(Npz(path=str(path)).setup) == (
        f"{path} has no array y, only x, label; call the labels of the sequences y, (N,)"
    )


def test_training_tells_what_init_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "rows.csv"
    rows = [[f"{v:.3f}" for v in row] for row in rng.standard_normal((300, 30))]
    lines = [",".join([*row, str(i % 3)]) for i, row in enumerate(rows)]
    path.write_text("\n".join([",".join([*(f"c{i}" for i in range(30)), "kind"]), *lines]))
    Series(path=str(path), window=8, horizon=2).setup()
    assert "rows.csv: if each line is a sequence, and column 'kind'" in capsys.readouterr().out
    archive = npz(tmp_path / "a.npz", lengths=np.full(12, 29))
    with np.load(archive) as found:
        np.savez(archive, x=found["x"], y=found["y"], extra=np.ones(1))
    Npz(path=str(archive)).setup()
    said = capsys.readouterr().out
    assert "if these fill up what is shorter, give lengths" in said
    assert "not read: extra" in said
    for i in range(12):
        file = tmp_path / "moves" / "ab"[i % 2] / f"{i}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("y,gain,x\n" + "\n".join(f"{i % 2},7,{i + t % 7}.5" for t in range(20)))
    Csv(root=str(tmp_path / "moves")).setup()
    assert "another one in each class, in every sequence: y" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cells", "values", "said"),
    [
        (["TRUE", "False", " true "], [1, 0, 1], "TRUE is read as 1"),
        (["no", "", "Yes", "NA"], [0, np.nan, 1, np.nan], "no is read as 0"),
        (["off", "-", "on"], [0, np.nan, 1], "off is read as 0"),
        (["yes", "no", "none told", "yes"], [1, 0, np.nan, 1], "yes is read as 1"),
        (["yes", "on", "yes"], None, "column 'v' holds no number, but 'yes'"),
        (["1", "TRUE", "0"], None, "line 3, column 'v' must be a number, got 'TRUE'"),
    ],
)
def test_words_for_one_and_zero_are_numbers_where_a_column_is_of_one_pair_of_them(
    tmp_path: Path, cells: Sequence[str], values: Sequence[float] | None, said: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,v\n" + "\n".join(f"{i * i},{cell}" for i, cell in enumerate(cells)))
    table = Table(path, na_values=["-", "none told"])

    def read() -> tuple[list[str], np.ndarray, list[str]]:
        return measured(table, [], ["v"])

    if values is None:
        assert said in fault(read)
    else:
        _, found, notes = read()
        np.testing.assert_array_equal(found[:, 0], values)
        assert notes == [f"{path}: column 'v': {said}"]


def test_a_word_that_stands_for_no_value_is_not_one_of_a_pair(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,v\n0,on\n1,off\n4,on\n")
    _, found, _ = measured(Table(path, na_values=["off"]), [], ["v"])
    np.testing.assert_array_equal(found[:, 0], [1, np.nan, 1])


def test_a_class_may_be_called_true_beside_a_switch_that_is_a_channel(tmp_path: Path) -> None:
    rows = [f"{i // 10},{i // 10 % 2 == 1},{i % 3 == 0},{i}" for i in range(200)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["id,label,switch,x", *rows]))
    data = Csv(root=str(path))
    data.setup()
    assert data.facts.target.names == ("False", "True")
    x = data.sequences(path)[0].values
    assert x[:, 0].tolist() == [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]
    assert any(note.endswith("column 'switch': True is read as 1") for note in data.notes)
