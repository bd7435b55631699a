"""What is kept of runs, networks in one file, and the model zoo."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch

import spikescan
from spikescan.cli import main
from spikescan.data import DataError
from spikescan.errors import UsageError
from spikescan.report import Quantity
from spikescan.train import RunFolder
from spikescan.train.kept import curves, portable, without_places
from spikescan.train.packed import packed_result, read_packed
from spikescan.train.tables import Group, duration, grouped, spread
from spikescan.train.tensors import read_tensors, read_words, write_tensors
from spikescan.train.trained import load_with_data
from spikescan.zoo import zoo
from support import draw
from train.run_support import small_recipe, train

TITLE = "--title=a probe's run"  # one word
COMMAND = ["spikescan", "train", "small.yaml", "--seed", "3", TITLE]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, no_pictures_here: None) -> Path:
    """A small run, as the command line would have made it."""
    folder = tmp_path_factory.mktemp("kept")
    words = ["train", small_recipe(folder), f"--runs={folder}", "--name", "run", "--seed", "3"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["spikescan", *words, TITLE])
        assert train(folder, "--seed=3", TITLE) == 0
    return folder / "run"


def test_what_is_kept_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = run.parent / "results"
    assert main(["results", "add", str(run), f"--to={to}", "--name=probe-s3"]) == 0
    text = (to / "probe-s3.json").read_text()
    assert str(run.parent) not in text
    told = json.loads(text)
    assert shlex.split(told["command"]) == COMMAND
    assert (told["seed"], told["causal"]) == (3, True)
    assert told["data"]["class"] == "spikescan.data.Probe"
    assert told["budget"]["epochs"] == told["budget"]["planned"] == 2
    stored = json.loads((run / "results.json").read_text())
    assert told["results"]["test_accuracy"] == pytest.approx(stored["test_accuracy"])
    assert told["results"]["energy"]["estimates"].keys() == stored["energy"]["estimates"].keys()
    rows = (to / "probe-s3.csv").read_text().splitlines()
    assert rows[0] == "epoch,train/loss,val/loss,train/accuracy,val/accuracy"
    assert [row.partition(",")[0] for row in rows[1:]] == ["1", "2"]
    # A folder of runs and one of kept results tell the same.
    capsys.readouterr()
    assert main(["results", "table", str(to)]) == 0
    kept = capsys.readouterr().out
    assert main(["results", "table", str(run)]) == 0
    assert capsys.readouterr().out == kept.replace("| probe |", "| run |")
    assert main(["results", "table", *map(str, to.iterdir())]) == 0
    assert capsys.readouterr().out == kept
    assert "| 2 epochs, " in kept
    assert main(["results", "table", str(to), "--csv"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("run,on the test data,budget,seeds")
    for place, words in (
        (run / "checkpoints", "there is no result in"),
        (run / "environment.json", "environment.json is no result that"),
    ):
        assert main(["results", "table", str(place)]) == 2
        assert words in capsys.readouterr().err


def test_a_resumed_run_tells_what_it_began_with(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = json.loads((run / "environment.json").read_text())
    assert environment["trained by"].startswith("spikescan train")  # known from the start on
    resumed = {"command": f"spikescan train --resume {run}", "processor": "P"}
    for file in ("config.yaml", "results.json", "metrics.csv"):
        (tmp_path / file).write_text((run / file).read_text())
    (tmp_path / "environment.json").write_text(json.dumps(resumed))
    add = ["results", "add", str(tmp_path), f"--to={tmp_path / 'kept'}"]
    assert main(add) == 2
    assert "does not tell the command that it began with" in capsys.readouterr().err
    assert main([*add, "--command=spikescan train digits --runs /tmp/x", "--name=d"]) == 0
    assert json.loads((tmp_path / "kept/d.json").read_text())["command"] == "spikescan train digits"


def test_no_place_of_the_machine_is_told() -> None:
    words = ["spikescan", "train", "/home/me/a.yaml", "--data.root=/data", "--data.root", "/data"]
    words += ["--data.path=/data/b.csv", "--runs", "r", "--name=n", "--seed", "1", "C:\\me\\c.txt"]
    told = ["spikescan", "train", "a.yaml", "--data.path=b.csv", "--seed", "1", "c.txt"]
    assert without_places(words) == told
    config = {"runs": "/r", "name": "n", "data": {"paths": ["/home/me/x", "y/z"], "size": 3}}
    assert portable(config) == {"data": {"paths": ["x", "y/z"], "size": 3}}


def test_runs_of_several_seeds_are_one_row() -> None:
    def told(seed: int, accuracy: float, command: str = "spikescan train digits") -> dict:
        headline = {"name": "accuracy", "better": "higher", "percent": True}
        results = {"headline": headline, "test_accuracy": accuracy, "firing_rate": None}
        return {
            "command": command + (f" --seed {seed}" if seed else ""),
            "seed": seed,
            "results": {**results, "parameters": 1234},
            "budget": {"epochs": 3, "planned": 12, "seconds": 900.0},
        }

    found = [("digits-s0", told(0, 0.9)), ("digits-s1", told(1, 0.94)), ("again-s1", told(1, 0.1))]
    (one, other) = grouped([*found, ("b", told(0, 0.5, "spikescan train digits --x 1"))])
    assert (one.name, len(one.runs), one.score) == ("digits", 2, "92.00 ± 2.83 %")
    assert (one.budget(), one.rate, one.energy) == ("3 epochs of 12, 15 min", "no neurons", "-")
    assert (other.name, other.score) == ("b", "50.00 %")
    assert spread(Quantity("mse"), [0.25, 0.35]) == "0.3000 ± 0.0707"
    assert duration(36_000) == "10 h"
    start = "spikescan train digits"
    commands = [f"{start} --a 1 --b 2", f"{start} --b 2 --a 1", f"{start} --a 2 --b 1"]
    runs = [(f"r-s{seed}", told(seed, 0.5, command)) for seed, command in enumerate(commands)]
    assert [len(group.runs) for group in grouped(runs)] == [2, 1]  # in any order, with its value


def test_a_long_curve_is_thinned(tmp_path: Path) -> None:
    rows = "".join(f"{e},{e},0.5\n" for e in range(1000))
    (tmp_path / "metrics.csv").write_text("epoch,step,val/loss\n" + rows)
    kept = curves(RunFolder(tmp_path), "accuracy")
    assert len(kept) == 101
    assert (kept[1], kept[-1]) == (["1", "0.5"], ["1000", "0.5"])


def test_a_network_in_one_file(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = run.parent / "probe.safetensors"
    assert main(["pack", str(run), f"--out={file}"]) == 0
    assert str(run.parent).encode() not in file.read_bytes()
    task, data = load_with_data(file)
    x = draw(3, 16, 1)
    assert torch.equal(task.model(x)[0], spikescan.load(run).model(x)[0])
    assert type(data).__name__ == "Probe"
    assert shlex.split(packed_result(file)["command"]) == COMMAND
    capsys.readouterr()
    assert main(["pack", str(run), "--out=probe.pt"]) == 2
    assert "must be called *.safetensors" in capsys.readouterr().err
    write_tensors(run.parent / "other.safetensors", {}, {"a": "b"})
    with pytest.raises(UsageError, match="holds no network of spikescan"):
        spikescan.load(run.parent / "other.safetensors")


KINDS = (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.int8, torch.bool)


def test_tensors_come_back_bit_for_bit(tmp_path: Path) -> None:
    tensors = {
        **{str(kind): draw(3, 5, scale=9).to(kind) for kind in KINDS},
        "scalar": torch.tensor(2.5),
        "none": torch.empty(0, 4),
        "turned": (turned := draw(4, 3).T),
        "the same again": turned,
    }
    file = tmp_path / "a.safetensors"
    write_tensors(file, tensors, {"words": "µ"})
    (plain := tmp_path / "plain").touch()
    assert file.stat().st_mode == plain.stat().st_mode  # whoever may read the folder reads it
    back, words = read_tensors(file)
    assert words == read_words(file) == {"words": "µ"}
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)
    whole = file.read_bytes()
    for content in (whole[:-1], whole[:20], b"\xff" * 64, b"[]", b""):
        file.write_bytes(content)
        with pytest.raises(UsageError, match="is no readable safetensors file"):
            read_tensors(file)


@pytest.mark.parametrize("name", zoo())
@torch.no_grad()
def test_a_network_of_the_zoo_does_what_it_says(name: str) -> None:
    path = zoo()[name]
    assert path.stat().st_size <= 2**20
    told = packed_result(path)
    assert told["command"].startswith("spikescan train ")
    assert not re.search(r'[\s"=]/|[A-Z]:\\\\', json.dumps(told) + read_packed(path).config)
    task, data = load_with_data(name)
    assert told["causal"] == task.model.causal
    try:
        test = data.splits.test
    except DataError as error:
        pytest.skip(f"the data of {name} are not here: {error}")
    rows = torch.arange(0, len(test), max(1, len(test) // 60))  # of all classes
    batch = test.batch(rows, 0)
    torch.manual_seed(0)
    out, _ = task.model(batch.x, lengths=batch.lengths)
    right = float((out.argmax(-1) == batch.y).float().mean())
    expected = told["results"]["test_accuracy"]
    # Four standard deviations of a share of so many rows, and one row.
    margin = 4 * (expected * (1 - expected) / len(rows)) ** 0.5 + 1 / len(rows)
    assert right == pytest.approx(expected, abs=margin)


def test_the_zoo_is_listed_and_its_names_are_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["zoo"]) == 0
    listed = capsys.readouterr().out
    for name, path in zoo().items():
        told = packed_result(path)
        assert f"{name} " in listed
        assert Group(name, "", [told]).score in listed
    monkeypatch.chdir(tmp_path)
    assert main(["energy", "digits_dsn", "--batches=1"]) == 0
    assert "12,362 parameters" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"no run digit, and no network of the zoo \(.*digits, "):
        spikescan.load("digit")
    (tmp_path / "digits").mkdir()  # a path that exists goes before a name
    with pytest.raises(UsageError, match=r"digits is not a run with config\.yaml"):
        spikescan.load("digits")
