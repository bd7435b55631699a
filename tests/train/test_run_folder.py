"""A run's folder: its name, one process at a time, nothing left of what failed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from run_support import small_recipe, train

from spikescan.cli import main
from spikescan.data import Probe, Splits
from spikescan.errors import UsageError
from spikescan.train import NewRun, RunFolder

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_two_runs_of_one_second_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda _: "20260101-000000")
    made = [NewRun(tmp_path, "digits").make().path.name for _ in range(3)]
    first = "digits-20260101-000000"
    assert made == [first, f"{first}-2", f"{first}-3"]


def test_a_held_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path, "--trainer.max_epochs=1") == 0
    run = tmp_path / "run"
    capsys.readouterr()
    with RunFolder(run).held():
        for command in (["train", "--resume", str(run)], ["test", str(run)]):
            assert main(command) == 2
            said = capsys.readouterr().err
            assert said == (
                f"spikescan: {run} is in use by another process; wait for it or end it first\n"
            )
    assert main(["test", str(run)]) == 0


def test_of_two_trainings_of_one_name_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = NewRun(tmp_path, "small", "run").make()
    with run.held():
        assert train(tmp_path) == 2
    assert "is in use by another process" in capsys.readouterr().err
    # What a process leaves that was killed before training began is no obstacle.
    assert train(tmp_path, "--trainer.max_epochs=1") == 0


@pytest.mark.parametrize("name", ["../out", "a/b", "..", ".", "", "a\\b", "a\nb", "/abs"])
def test_a_name_stays_below_the_runs_folder(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    assert train(tmp_path, f"--runs={runs}", f"--name={name}") == 2
    assert capsys.readouterr().err == (
        f"spikescan: --name must be the name of one folder, got {name!r}\n"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["small.yaml"]


def test_a_name_within_a_recipe_stays_too(tmp_path: Path) -> None:
    small_recipe(tmp_path)
    recipe = tmp_path / "other.yaml"
    recipe.write_text((tmp_path / "small.yaml").read_text() + "name: ../../out\n")
    assert main(["train", str(recipe), f"--runs={tmp_path / 'runs'}"]) == 2
    with pytest.raises(UsageError, match=r"one folder, got '\.\./x-"):
        NewRun(tmp_path, "../x").make()


def test_a_folder_with_other_files_is_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("")
    assert train(tmp_path) == 2
    assert "exists already; choose another --name, or --resume it" in capsys.readouterr().err
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_no_place_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").write_text("a file")
    assert train(tmp_path) == 2
    assert capsys.readouterr().err == (
        f"spikescan: cannot make the folder {tmp_path / 'run'}: a file is in its place\n"
    )
    assert train(tmp_path, f"--runs={tmp_path / 'run' / 'runs'}") == 2
    assert capsys.readouterr().err == (
        f"spikescan: cannot make the folder {tmp_path / 'run' / 'runs' / 'run'}: Not a directory\n"
    )


def test_a_failed_run_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: object, *_: object) -> None:
        raise RuntimeError("of the user's own")

    monkeypatch.setattr("spikescan.tasks.Classification.training_step", fails)
    with pytest.raises(RuntimeError, match="of the user's own"):
        train(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["small.yaml"]


def test_a_failed_report_leaves_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no picture")

    monkeypatch.setattr("spikescan.train.run.run_record", fails)
    with pytest.raises(RuntimeError, match="no picture"):
        train(tmp_path)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert 0 <= results["test_accuracy"] <= 1


def test_an_empty_validation_split_costs_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Probe.load

    def without(self: Probe) -> Splits:
        splits = load(self)
        val = splits.val
        val.x, val.y = val.x[:0], val.y[:0]  # type: ignore[attr-defined]
        return splits

    monkeypatch.setattr(Probe, "load", without)
    assert train(tmp_path) == 0
    assert json.loads((tmp_path / "run" / "results.json").read_text())["best_epoch"] == 2
