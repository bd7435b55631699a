"""Lines above the names of a table, and encodings other than UTF-8: told once, kept by a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from own_support import csv_folders, csv_long, series, texts

from spikescan.cli import main
from spikescan.data import Csv, DataError, TextFiles
from spikescan.data.own.detect import kind_of
from spikescan.data.series import Series

POWER = [
    "-BEGIN HEADER-",
    "Dates (month/day/year): 01/01/2020 through 01/10/2020 in LST",
    "Location: latitude  40.0   longitude -100.0",
    "value for missing: -999, or none",
    "-END HEADER-",
]
METEO = ["latitude,longitude,elevation,timezone", "52.52,13.42,38.0,GMT", ""]
SAME = ["latitude,longitude,elevation", "52.52,13.42,38.0", ""]
"""As many cells as the table below has."""
LOGGER = ["Logger 12", "Serial 5"]


def under(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join([*lines, path.read_text()]))
    return path


@pytest.mark.parametrize("above", [POWER, METEO, SAME, LOGGER], ids=lambda lines: lines[0][:9])
def test_lines_above_the_names_are_counted_and_left_out(tmp_path: Path, above: list[str]) -> None:
    path = series(tmp_path / "load.csv")
    plain = Series(path=str(path), window=8, horizon=2)._values
    under(path, above)
    with pytest.raises(DataError) as error:
        Series(path=str(path), window=8, horizon=2).survey()
    n = len(above)
    assert str(error.value).endswith(
        f"; if the table begins with line {n + 1}, say --data.skip {n}"
    )
    data = Series(path=str(path), window=8, horizon=2, skip=n)
    assert data._values.equal(plain)
    assert data.survey().notes[-1] == f"load.csv: the first {n} lines are no part of the table"
    # Errors name the lines of the file.
    path.write_text(path.read_text().replace("2020-01-01 02:00:00,", "2020-01-01 02:00:00,x"))
    with pytest.raises(DataError, match=rf"line {n + 4}, column 'load' must be a number"):
        Series(path=str(path), window=8, horizon=2, skip=n).setup()


def test_a_row_of_more_cells_begins_no_table(tmp_path: Path) -> None:
    path = series(tmp_path / "load.csv")
    lines = path.read_text().splitlines()
    lines[100] += ",1"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError) as error:
        Series(path=str(path)).survey()
    assert "line 102," not in str(error.value)
    assert "--data.skip 10" not in str(error.value)


def test_lines_above_of_class_files(tmp_path: Path) -> None:
    plain = Csv(root=str(csv_folders(tmp_path / "plain"))).items
    for path in csv_folders(tmp_path / "above").rglob("*.csv"):
        under(path, LOGGER)
    with pytest.raises(DataError, match=r"line 3, .*say --data\.skip 2$"):
        Csv(root=str(tmp_path / "above")).setup()
    read = Csv(root=str(tmp_path / "above"), skip=2).items
    assert all(a.values.equal(b.values) for a, b in zip(read, plain, strict=True))
    assert [item.rate for item in read] == [item.rate for item in plain]
    long = csv_long(tmp_path / "long.csv")
    whole = Csv(path=str(long)).items
    again = Csv(path=str(under(long, METEO)), skip=3).items
    assert all(a.values.equal(b.values) for a, b in zip(again, whole, strict=True))
    assert kind_of(long, skip=3) == "csv"
    with pytest.raises(DataError, match="has no line below the first 9999, which skip"):
        Csv(path=str(long), skip=9999).setup()


def test_an_encoding_is_told_of_files_that_are_not_utf8(tmp_path: Path) -> None:
    path = series(tmp_path / "load.csv")
    content = path.read_text().replace("load", "größe")
    path.write_bytes(content.encode("cp1252"))
    with pytest.raises(DataError, match=r"or say which it is, as in --data\.encoding cp1252$"):
        Series(path=str(path)).survey()
    data = Series(path=str(path), encoding="latin-1", window=8, horizon=2)
    assert data.survey().columns == ["größe", "heat"]
    assert kind_of(path, encoding="latin-1") == "series"
    path.write_text(content, encoding="utf-8")  # what is UTF-8 stays so
    again = Series(path=str(path), encoding="latin-1", window=8, horizon=2)
    assert again.survey().columns == ["größe", "heat"]
    path.write_bytes(content.replace("größe", "gr\x81").encode("latin-1"))
    with pytest.raises(DataError, match=r"is not UTF-8 text \(byte 0x81 at 7\); save it as UTF-8$"):
        Series(path=str(path), encoding="cp1252").survey()
    for kind in (Series, Csv, TextFiles):
        for wrong in ("foo", "base64"):
            with pytest.raises(ValueError, match=f"encoding must be one that Python .*{wrong!r}"):
                kind(path=str(path), encoding=wrong)


def test_texts_and_lists_of_files_have_encodings(tmp_path: Path) -> None:
    folder = texts(tmp_path / "texts")
    (folder / "good" / "0.txt").write_bytes("naïve".encode("latin-1"))
    with pytest.raises(DataError, match=r"--data\.encoding cp1252$"):
        TextFiles(root=str(folder)).setup()
    first = TextFiles(root=str(folder), encoding="latin-1").items[6]
    assert first.name == "good/0.txt"
    assert bytes(first.values.tolist()).decode() == "naïve"
    files = sorted(csv_folders(tmp_path / "moves").rglob("*.csv"))
    rows = [f"{f.relative_to(tmp_path)},{'größer' if 'fast' in str(f) else 'klein'}" for f in files]
    (tmp_path / "list.csv").write_bytes("\n".join(["path,label", *rows]).encode("latin-1"))
    listed = Csv(path=str(tmp_path / "list.csv"), encoding="latin-1")
    assert listed.found.classes == ["größer", "klein"]


@pytest.mark.usefixtures("no_pictures_here")
def test_a_run_reads_files_as_those_that_it_learned_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, recipe = under(series(tmp_path / "load.csv"), LOGGER), tmp_path / "load.yaml"
    path.write_bytes(path.read_text().replace("load", "größe").encode("cp1252"))
    told = ["--data.skip", "2", "--data.encoding=cp1252"]
    assert main(["init", str(path), *told[:2], "--data.encoding=foo"]) == 2
    assert "encoding must be one that Python knows" in capsys.readouterr().err
    assert main(["init", str(path), "-o", str(recipe), *told]) == 0
    short = ["--model.features=8", "--trainer.max_epochs=1", f"--runs={tmp_path}", "--name=load"]
    assert main(["train", str(recipe), *short]) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "load"), str(path), "--csv"]) == 0
    assert capsys.readouterr().out.startswith("name,step,date,größe,heat")
    more = tmp_path / "more.csv"
    more.write_bytes(b"Owner\n" + path.read_bytes())
    assert main(["predict", str(tmp_path / "load"), str(more)]) == 2
    assert capsys.readouterr().err.endswith(
        "; if the table begins with line 4, say --data.skip 3; these are options of training: mend "
        "the file\n"
    )
