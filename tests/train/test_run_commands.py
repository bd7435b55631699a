"""Commands about a run that is there: what it costs, its page again, runs side by side."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from run_support import train

import spikescan
from spikescan.cli import main
from spikescan.energy import TABLES, measure
from spikescan.train.measure import impulses


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the pictures of its page."""
    folder = tmp_path_factory.mktemp("runs")
    assert train(folder) == 0
    return folder


def test_energy_prints_and_writes_one_account(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "energy.json", tmp_path / "energy.csv"]
    options = ["--table", "int8", "--json", str(files[0]), "--csv", str(files[1])]
    assert main(["energy", str(runs / "run"), *options]) == 0
    out = capsys.readouterr().out
    for word in ("blocks.0.time_mixer", "same widths, dense, int8", "cheaper than the dense"):
        assert word in out
    told = json.loads(files[0].read_text())
    with files[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    task = spikescan.load(runs / "run")
    data = spikescan.data.Probe(length=16, samples=32, batch_size=16)
    data.setup()
    batches = [(batch.x, batch.lengths) for batch in data.test_dataloader()]
    account = measure(task.model, batches, table=TABLES["int8"])
    assert told == json.loads(json.dumps(account.to_dict()))
    assert [row["name"] for row in rows] == [layer.name for layer in account.layers]
    assert [int(row["acs"]) for row in rows] == [layer.spiking.acs for layer in account.layers]


def test_energy_of_less_data_and_of_no_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["energy", str(runs / "run"), "--batches", "1"]) == 0
    assert "8 sequences of 16 steps" in capsys.readouterr().out
    for arguments, words in (
        (["nowhere"], "there is no run nowhere"),
        ([str(runs / "run"), "--table", "7nm"], "unknown cost table '7nm'"),
        ([str(runs / "run"), "--batches", "-1"], "--batches must be at least 0, got -1"),
        ([str(runs / "run"), "--json", str(runs / "no" / "f.json")], "cannot write"),
    ):
        assert main(["energy", *arguments]) == 2
        assert words in capsys.readouterr().err


def test_results_hold_the_estimates_of_the_account(runs: Path) -> None:
    results = json.loads((runs / "run" / "results.json").read_text())
    told = results["energy"]
    task = spikescan.load(runs / "run")
    data = spikescan.data.Probe(length=16, samples=32, batch_size=16)
    data.setup()
    batches = [(batch.x, batch.lengths) for batch in data.test_dataloader()]
    account = measure(task.model, batches)
    assert told["estimates"]["full"]["computing"] == account.full.computing
    assert "layers" not in told
    page = (runs / "run" / "report.html").read_text()
    speed = f"it runs {results['steps_per_second']:,.0f} steps a second on one core"
    own = "spikescan train config.yaml"
    for words in ("Energy, estimated", "What the neurons remember", own, speed):
        assert words in page


def test_answers_to_impulses_are_the_kernels(runs: Path) -> None:
    task = spikescan.load(runs / "run")
    (neuron,) = (m for m in task.model.modules() if isinstance(m, spikescan.PRF))
    (answers,) = impulses(task, 64).values()
    j = np.arange(answers.shape[1])
    delta, theta = (t.detach().double().numpy()[:, None] for t in (neuron.delta, neuron.theta))
    tau = neuron.tau.double().numpy()[:, None]
    kernel = delta * np.exp(-delta * j / tau) * np.cos(delta * theta * j)
    assert np.allclose(answers, 1e-3 * kernel, rtol=1e-4, atol=1e-9)


def test_a_page_is_written_again_and_knows_how_the_run_was_made(
    runs: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    page, environment = runs / "run" / "report.html", runs / "run" / "environment.json"
    told = json.loads(environment.read_text())
    environment.write_text(json.dumps({**told, "command": "spikescan train small.yaml"}))
    page.unlink()
    assert main(["report", str(runs / "run")]) == 0
    assert capsys.readouterr().out.endswith(f"{page}\n")
    for words in ("Energy, estimated", "made this run", ">spikescan train small.yaml<"):
        assert words in page.read_text()
    # Now the run was last tested, not trained.
    records = request.getfixturevalue("no_pictures")
    assert main(["report", str(runs / "run")]) == 0
    made = ("the command that made this run", "spikescan train small.yaml")
    assert made in records[0].commands


def test_runs_stand_side_by_side(
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    other = tmp_path / "another-run-of-a-long-name-that-ends-in-s1"
    shutil.copytree(runs / "run", other)
    told = json.loads((other / "results.json").read_text())
    del told["energy"]
    (other / "results.json").write_text(json.dumps({**told, "parameters": 1234567}))
    page = tmp_path / "page.html"
    assert main(["compare", str(runs / "run"), str(other), "--out", str(page)]) == 0
    out, html = capsys.readouterr().out, page.read_text()
    for words in ("run", other.name, "85", "1,234,567"):
        assert words in out
        assert f">{words}<" in html
    assert "://" not in html
    assert html.count("<img ") == 2, "curves, and energies of the one that has them"
    same = tmp_path / "same" / "run"
    shutil.copytree(runs / "run", same)
    assert main(["compare", str(runs / "run"), str(same), "--out", str(page)]) == 0
    assert f">{same}<" in page.read_text(), "two of one name are told apart by their paths"


def test_what_cannot_be_compared_is_told(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(runs / "run")
    old = tmp_path / "old"
    shutil.copytree(run, old)
    (old / "results.json").write_text("{}")
    for arguments, words in (
        ([run], "which runs? usage: spikescan compare RUN RUN"),
        ([run, run], "which runs?"),
        ([run, "nowhere"], "nowhere is not a run with config.yaml"),
        ([run, str(old)], f"`spikescan test {old}` writes it again"),
    ):
        assert main(["compare", *arguments]) == 2
        assert words in capsys.readouterr().err
