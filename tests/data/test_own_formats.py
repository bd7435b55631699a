"""CSV, NumPy archives, .ts and text files of a person's own become the same kind of data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jsonargparse
import numpy as np
import pytest
import torch
from own_support import csv_folders, csv_long, npz, texts, ts, waves

from spikescan.data import (
    Classes,
    Csv,
    DataError,
    Npz,
    OwnFiles,
    RaggedSequences,
    Split,
    TextFiles,
    Ts,
    Wav,
)
from spikescan.data.own.detect import kind_of

MAKE: dict[str, Callable[[Path], OwnFiles]] = {
    "folders": lambda folder: Csv(root=str(csv_folders(folder / "all"))),
    "long": lambda folder: Csv(path=str(csv_long(folder / "long.csv")), split=Split(by="file")),
    "npz": lambda folder: Npz(path=str(npz(folder / "waves.npz"))),
    "ts": lambda folder: Ts(path=str(ts(folder / "waves.ts"))),
}


@pytest.mark.parametrize("name", MAKE)
def test_every_format_gives_the_same_sequences(name: str, tmp_path: Path) -> None:
    data = MAKE[name](tmp_path)
    assert data.facts.target == Classes(("fast", "slow"))
    assert (data.facts.length, data.facts.inputs, data.facts.scaled) == (29, 2, True)
    assert data.facts.channels == (("0", "1") if name == "ts" else ("ax", "ay"))
    assert data.facts.rate == (50 if name in ("folders", "long") else None)
    expected = sorted((label, x.tolist()) for label, x in waves())
    got = sorted(((i.label, i.values) for i in data.items), key=lambda p: (p[0], p[1].tolist()))
    assert [label for label, _ in got] == [label for label, _ in expected]
    for (_, values), (_, x) in zip(got, expected, strict=True):
        assert torch.allclose(values, torch.tensor(x, dtype=torch.float32), atol=1e-3)
    assert [len(part) for part in data.splits] == [8, 2, 2]
    batch = data.splits.train.batch(torch.tensor([0, 1]), 0)
    assert batch.lengths is not None
    mean, _ = data.statistics()
    assert (mean - 100).abs().max() < 3


def test_times_that_are_rounded_tell_the_rate(tmp_path: Path) -> None:
    """A step of 1/300 s, written with 5 digits, is not one of 0.00333 s."""
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(3):
            lines = [f"{i / 300:.5f},{i + number}" for i in range(300)]
            path = tmp_path / label / f"{number}.csv"
            path.write_text("\n".join(["time,ecg", *lines]))
    data = Csv(root=str(tmp_path))
    assert data.facts.rate == 300
    assert "300 samples each (1 s)" in data.survey()


def test_groups_of_a_long_file(tmp_path: Path) -> None:
    path = csv_long(tmp_path / "long.csv", 24)
    data = Csv(path=str(path), split=Split(by="group"))
    of: dict[str, set[str]] = {}
    for _, _, group, part in data.members():
        of.setdefault(group, set()).add(part)
    assert {group: len(parts) for group, parts in of.items()} == dict.fromkeys("abcd", 1)


def test_what_was_made_of_cells_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = csv_folders(tmp_path / "all")
    for file in folder.rglob("*.csv"):
        file.write_text(file.read_text().replace(",", ";").replace(".", ","))
    data = Csv(root=str(folder))
    assert data.facts.channels == ("ax", "ay")
    _ = data.splits
    out = capsys.readouterr().out
    assert out.count("commas in numbers are decimal ones") == 1
    assert "and 11 more files or columns alike" in out


def test_a_second_label_is_no_channel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = csv_long(tmp_path / "long.csv")
    first, *lines = path.read_text().splitlines()
    codes = [f"{line},{int('fast' in line)}" for line in lines]
    path.write_text("\n".join([f"{first},Target", *codes]))
    with pytest.raises(
        DataError, match=r"the columns label and Target, and each may hold the label"
    ):
        _ = Csv(path=str(path)).items
    data = Csv(path=str(path), label="label")
    assert data.facts.channels == ("ax", "ay")
    _ = data.splits
    assert "left out, as their names say that they are no measurements: Target" in (
        capsys.readouterr().out
    )
    assert Csv(path=str(path), label="label", columns=["ax", "Target"]).facts.inputs == 2


@pytest.mark.parametrize("name", ["Patient_ID", "subjectId", "participant", "user-id"])
def test_a_column_of_groups_is_known_however_it_is_written(tmp_path: Path, name: str) -> None:
    path = csv_long(tmp_path / "long.csv", 24)
    text = path.read_text().replace("subject", name, 1)
    for number, letter in enumerate("abcd"):
        text = text.replace(f",{letter}\n", f",{number}\n")
    path.write_text(text)
    data = Csv(path=str(path))
    assert (data.way, data.facts.channels) == ("group", ("ax", "ay"))
    assert {group for _, _, group, _ in data.members()} == {"0", "1", "2", "3"}


def test_archives_tell_what_they_do_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = npz(tmp_path / "a.npz", groups=np.arange(12) // 2, weather=np.zeros(3))
    data = Npz(path=str(path))
    assert data.way == "group"
    _ = data.splits
    assert "not read: weather; known are x, y, " in capsys.readouterr().out
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "b.npz", x=rng.random((12, 3, 50)), y=np.arange(12) % 2)
    assert "x is read as (N, T, C); if it is (N, C, T), write x.swapaxes(1, 2)" in (
        Npz(path=str(tmp_path / "b.npz")).survey()
    )


def test_channels_that_may_be_no_measurements_are_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(8):
        file = tmp_path / "ab"[i % 2] / f"{i}.csv"
        file.parent.mkdir(exist_ok=True)
        rows = [f"{0.25 * t},{rng.random()},{i}" for t in range(20)]
        file.write_text("\n".join(rows))
    told = Csv(root=str(tmp_path)).survey()
    assert "8 files have no line of names: the columns are called by their number, from 0" in told
    end = "if that is no measurement, leave it out"
    assert f"growing evenly in every sequence: 0; {end}" in told
    assert f"the same throughout in every sequence: 2; {end}" in told


def test_files_that_do_not_go_together_are_told_at_once(tmp_path: Path) -> None:
    folder = csv_folders(tmp_path / "all")
    file = next(folder.rglob("*.csv"))
    header, *lines = file.read_text().splitlines()
    file.write_text(
        "\n".join(
            [header, *(f"{i / 100:.2f},{line.partition(',')[2]}" for i, line in enumerate(lines))]
        )
    )
    with pytest.raises(DataError, match=rf"{file.name} has 100 samples a second, expected 50"):
        Csv(root=str(folder)).survey()
    ignored = Csv(root=str(folder), time="ignore")
    ignored.survey()
    assert (ignored.facts.rate, ignored.facts.channels) == (None, ("ax", "ay"))
    file.write_text("\n".join([header.replace("ay", "az"), *lines]))
    with pytest.raises(DataError, match=r"has the channels ax, a[yz], expected ax, a[yz]"):
        Csv(root=str(folder)).survey()


def test_channels_may_stand_in_another_order(tmp_path: Path) -> None:
    folder = csv_folders(tmp_path / "all")
    due = {item.name: item.values for item in Csv(root=str(folder)).items}
    turned = sorted(folder.rglob("*.csv"))[3]
    rows = [line.split(",") for line in turned.read_text().splitlines()]
    turned.write_text("\n".join(f"{time},{ay},{ax}" for time, ax, ay in rows))
    for item in Csv(root=str(folder)).items:
        assert item.values.equal(due[item.name])
        assert item.channels == ("ax", "ay")


def test_a_label_that_is_not_used_is_told(tmp_path: Path) -> None:
    folder = csv_folders(tmp_path / "all")
    for file in (folder / "slow").iterdir():
        head, *lines = file.read_text().splitlines()
        file.write_text("\n".join([f"{head},label", *(f"{line},fast" for line in lines)]))
    assert "6 sequences have a label in the file that is not used" in Csv(root=str(folder)).survey()


def test_a_folder_beside_those_of_the_parts_is_refused(tmp_path: Path) -> None:
    for part in ("train", "test", "unused"):
        csv_folders(tmp_path / part)
    with pytest.raises(DataError, match="has folders of parts, such as train and test, and unused"):
        _ = Csv(root=str(tmp_path)).items


def test_links_that_lead_nowhere_or_back_are_left_out(tmp_path: Path) -> None:
    folder = csv_folders(tmp_path / "all")
    before = Csv(root=str(folder))
    whole = before.found
    (folder / "loop").symlink_to(tmp_path)
    (folder / "slow" / "gone.csv").symlink_to(tmp_path / "nothing.csv")
    data = Csv(root=str(folder))
    assert (data.found, len(data.items)) == (whole, len(before.items))
    assert "2 other files are left out" in " ".join(data.survey())


def test_gaps_in_time_are_said_and_nothing_is_held_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = csv_long(tmp_path / "long.csv")
    lines = path.read_text().splitlines()
    del lines[5:9]
    path.write_text("\n".join(lines))
    data = Csv(path=str(path))
    train = data.splits.train
    assert capsys.readouterr().out == (
        "1 of 12 sequences: lines are not equally far apart in time, and each is taken for one "
        "step\n"
    )
    assert isinstance(train, RaggedSequences)
    held = train.samples.untyped_storage().data_ptr()
    mine = [i for i, part in zip(data.items, data.parts, strict=True) if part == "train"]
    assert all(item.values.untyped_storage().data_ptr() == held for item in mine)


def test_a_channel_whose_first_value_is_missing_is_no_time(tmp_path: Path) -> None:
    path = csv_long(tmp_path / "long.csv")
    first, _, *lines = path.read_text().splitlines()
    swapped = [",".join([*line.split(",")[2:], *line.split(",")[:1]]) for line in (first, *lines)]
    for nothing in ("", "NaN", "?"):
        gap = f"{nothing},{','.join(swapped[1].split(',')[1:])}"
        path.write_text("\n".join([swapped[0], gap, *swapped[2:]]))
        data = Csv(path=str(path), missing="hold")
        assert data.facts.channels == ("ax", "ay")
        with pytest.raises(DataError, match=r"line 2, column 'ax' has no value"):
            _ = Csv(path=str(path)).items


def test_copies_are_said(tmp_path: Path) -> None:
    texts(tmp_path)
    (tmp_path / "bad" / "12.txt").write_text((tmp_path / "good" / "0.txt").read_text())
    lines = TextFiles(root=str(tmp_path)).survey()
    assert lines[-1] == ("1 of 13 sequences are copies of others: first good/0.txt of bad/12.txt")


def test_columns_are_chosen_by_name(tmp_path: Path) -> None:
    path = csv_long(tmp_path / "long.csv")
    path.write_text(path.read_text().replace("id,time", "which,time").replace("label", "kind"))
    data = Csv(path=str(path), id="which", label="kind", columns=["ay"])
    assert data.facts.channels == ("ay",)
    with pytest.raises(DataError, match=r"long\.csv has no column 'az', only which, time, ax, ay"):
        Csv(path=str(path), id="which", label="kind", columns=["az"]).setup()


def test_a_csv_without_names_and_with_other_separators(tmp_path: Path) -> None:
    for name, separator in (("a", ";"), ("b", "\t")):
        for i in range(3):
            path = tmp_path / name / f"{i}.csv"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"1{separator}2\n\n3{separator}4\n")
    data = Csv(root=str(tmp_path))
    assert data.facts.channels == ("0", "1")
    assert data.items[0].values.tolist() == [[1, 2], [3, 4]]


def test_archives_of_other_shapes(tmp_path: Path) -> None:
    x, y = np.arange(24.0).reshape(6, 4), np.arange(6) % 2
    np.savez(tmp_path / "a.npz", x=x, y=y, classes=np.array(["no", "yes"]), rate=np.array(10))
    data = Npz(path=str(tmp_path / "a.npz"))
    assert data.facts.target == Classes(("no", "yes"))
    assert (data.facts.length, data.facts.inputs, data.facts.rate) == (4, 1, 10)
    assert data.items[1].values.tolist() == [[4], [5], [6], [7]]
    lengths = np.array([1, 2, 3, 4, 5, 9])
    np.savez(tmp_path / "b.npz", x=np.arange(48.0).reshape(24, 2), y=y, lengths=lengths)
    data = Npz(path=str(tmp_path / "b.npz"))
    assert [len(item.values) for item in data.items] == lengths.tolist()
    assert data.items[1].values.tolist() == [[2, 3], [4, 5]]


def test_the_official_split_of_two_ts_files(tmp_path: Path) -> None:
    ts(tmp_path / "Waves_TRAIN.ts", 12)
    ts(tmp_path / "Waves_TEST.ts", 8, seed=1)
    for place in (tmp_path, *(tmp_path / f"Waves{end}.ts" for end in ("", "_TRAIN", "_TEST"))):
        assert kind_of(place) == "ts"
        data = Ts(path=str(place))
        assert [len(part) for part in data.splits] == [10, 2, 8]
        assert {
            name.partition(":")[0] for name, _, _, part in data.members() if part == "test"
        } == {"Waves_TEST.ts"}
    with pytest.raises(DataError, match=r"there is no .*Wave\.ts"):
        Ts(path=str(tmp_path / "Wave.ts")).setup()


def test_the_tsv_files_of_the_ucr_archive(tmp_path: Path) -> None:
    folder = tmp_path / "Waves"
    folder.mkdir()
    for part, count in (("TRAIN", 12), ("TEST", 6)):
        lines = []
        for i in range(count):
            cells = [f"{(7 * i + 3 * j) % 11 / 4}" for j in range(9 - i % 2)] + ["NaN"] * (i % 2)
            lines.append("\t".join([f"{i % 2 + 1}", *cells]))
        (folder / f"Waves_{part}.tsv").write_text("\n".join([*lines, ""]))
    (folder / "README.md").write_text("of the archive\n")
    for place in (folder, folder / "Waves_TRAIN.tsv", folder / "Waves.tsv"):
        assert kind_of(place) == "ts"
        data = Ts(path=str(place))
        assert data.found.classes == ["1", "2"]
        assert [data.parts.count(part) for part in ("train", "val", "test")] == [10, 2, 6]
        assert {len(item.values) for item in data.items} == {8, 9}
    (folder / "Waves_TEST.tsv").write_text("1\t2\tx\n")
    with pytest.raises(DataError, match="line 1, value 1 must be a number or"):
        _ = Ts(path=str(folder)).items
    (folder / "Waves_TEST.tsv").write_text("1\n")
    with pytest.raises(DataError, match="line 1 must hold a class and values between tabs"):
        _ = Ts(path=str(folder)).items


def test_a_time_in_a_unit_tells_the_rate(tmp_path: Path) -> None:
    folder = csv_folders(tmp_path / "all")
    for file in folder.rglob("*.csv"):
        head, *lines = file.read_text().splitlines()
        told = (f"{1000 * float(t):.0f},{rest}" for t, _, rest in (x.partition(",") for x in lines))
        file.write_text("\n".join([head.replace("time", "time_ms"), *told]))
    assert (Csv(root=str(folder)).facts.rate, Csv(root=str(folder)).facts.inputs) == (50, 2)


def test_a_univariate_ts_file_with_missing_values(tmp_path: Path) -> None:
    lines = ["1,?,3:a", "4,5,6:b", "7,8,9:a", "1,2,3:b", "1,2,3:a", "1,2,?:b"]
    path = tmp_path / "one.ts"
    head = "@univariate true\n@equalLength true\n@seriesLength 3\n@classLabel true a b\n@data\n"
    path.write_text(head + "\n".join(lines))
    with pytest.raises(DataError) as error:
        Ts(path=str(path)).setup()
    assert str(error.value) == (
        f"{path}: line 6, dimension 0, value 1 is missing (?); mend it, or say missing='hold' or "
        "missing='zero'"
    )
    data = Ts(path=str(path), missing="hold")
    assert "missing values: 2, in 2 sequences" in "\n".join(data.survey())
    assert data.whole(data.items[0]).flatten().tolist() == [1, 1, 3]
    data.setup()


def test_texts_are_bytes(tmp_path: Path) -> None:
    data = TextFiles(root=str(texts(tmp_path)), max_length=12)
    assert (data.facts.vocabulary, data.facts.length, data.facts.scaled) == (256, 12, False)
    batch = data.splits.train.batch(torch.tensor([0]), 0)
    assert batch.x.shape == (1, 12)
    assert bytes(batch.x[0, :7].tolist()) == b"Number "


def test_frames_of_channels_are_named(tmp_path: Path) -> None:
    data = Npz(path=str(npz(tmp_path / "a.npz")), frame=2)
    assert data.facts.channels == ("ax 0", "ay 0", "ax 1", "ay 1")
    assert data.facts.length == 15
    assert next(iter(data.train_dataloader())).x.shape[2] == 4


@pytest.mark.parametrize("kind", [Csv, Npz, TextFiles, Ts, Wav])
def test_arguments_become_documented_options(kind: type[OwnFiles]) -> None:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, "data")
    options = ["--data.path=here", "--data.split.by=group", "--data.split.group=a"]
    data = parser.instantiate(parser.parse_args(options)).data
    assert (data.path, data.split) == ("here", Split(by="group", group="a"))
    for action in parser._actions:
        if action.dest.startswith("data."):
            assert action.help, f"{action.dest} has no line in the docstring"
