"""The command line, kept results, tables and pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from spikescan.bench.case import COPY, OURS, YARDSTICK, Shape
from spikescan.bench.cases.network import PRODUCTS
from spikescan.bench.cases.stream import DENSE, DENSE8, INT8, RATES, name
from spikescan.bench.cases.sweep import NEURONS, label
from spikescan.bench.results import (
    CaseResult,
    Outcome,
    Results,
    Timing,
    read_json,
    write_json,
)
from spikescan.bench.table import duration, markdown
from spikescan.cli import main as cli


def main(arguments: list[str]) -> int:
    return cli(["bench", *arguments])


def timing(contender: str, seconds: float, steps: int = 1024) -> Timing:
    samples = (seconds, 0.5 * seconds, 2 * seconds)
    return Timing(contender, Shape(steps, 4, 128), "as it is", 3, samples)


def made_up() -> Results:
    outcome = Outcome("theirs / ours", 12.5, 10.0, 20.0, True, False, "holds")
    lost = Outcome("snn / ours", None, 2.0, None, True, False, "not measured")
    shape = Shape(1024, 4, 128)
    return Results(
        {"processor": "a processor", "threads": "2"},
        "2026-01-02T03:04:05+00:00",
        False,
        3,
        (
            CaseResult(
                "lif-floor",
                "a title",
                shape,
                "not measured",
                "0 of 7 spikes differ",
                (timing(OURS, 0.002), timing("theirs", 0.025), timing(YARDSTICK, 0.003)),
                (outcome, lost),
                (("our time / floor", 1.25), ("floor, s", 0.0016)),
                ("snn: it is not installed: pip install snn",),
                1.5,
            ),
            CaseResult("other", "another", shape, "wrong", "3 of 7 spikes differ"),
            CaseResult(
                "cost-against-t",
                "cost",
                shape,
                "measured",
                "",
                tuple(
                    timing(label(neuron, contender.name), 1e-6 * steps, steps)
                    for neuron, contenders in NEURONS.items()
                    for contender in contenders
                    for steps in (1024, 4096)
                ),
            ),
            CaseResult(
                "training-step",
                "step",
                shape,
                "measured",
                "",
                (timing(OURS, 0.3), timing(PRODUCTS, 0.2), timing(COPY, 0.1)),
            ),
            CaseResult(
                "stream-rates",
                "rates",
                shape,
                "measured",
                "",
                (
                    *(timing(name(rate), 0.01 * rate) for rate in RATES),
                    *(timing(name(rate, INT8), 0.004 * rate) for rate in RATES),
                    timing(DENSE, 0.004),
                    timing(DENSE8, 0.002),
                ),
            ),
        ),
    )


def test_results_come_back_from_json_as_they_were(tmp_path: Path) -> None:
    write_json(made_up(), tmp_path / "r.json")
    assert read_json(tmp_path / "r.json") == made_up()
    # Every sample is kept.
    kept = json.loads((tmp_path / "r.json").read_text())
    assert kept["cases"][0]["timings"][1]["seconds"] == [0.025, 0.0125, 0.05]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"cases": [{}]}'])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(ValueError, match="does not hold results of spikescan bench"):
        read_json(tmp_path / "r.json")


def test_markdown_tells_what_was_measured() -> None:
    text = markdown(made_up())
    for piece in (
        "a processor",
        "2026-01-02T03:04:05+00:00",
        "| theirs / ours | 12.5 | ≥ 10 | ≥ 20 | holds |",
        "| snn / ours | - | ≥ 2 |  | not measured |",
        "snn: it is not installed: pip install snn",
        "Check: 0 of 7 spikes differ.",
        "| theirs | T=1,024, 4x128 | 25 ms | 12.5 ms to 50 ms | 12.50 | 3 | as it is |",
        "3 of 7 spikes differ",
        "our time / floor: 1.25",
    ):
        assert piece in text
    assert "Quick run" not in text
    assert "Quick run on smaller shapes" in markdown(replace(made_up(), quick=True))


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4.56e-5, "45.6 µs")]
)
def test_durations_have_a_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# The command line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "lif-lnog"], "unknown case 'lif-lnog'; the cases are lif-long, "),
        (["run", "--full", "--repeats", "4"], "--repeats must be at least 5 with --full, got 4"),
        (["run", "--repeats", "0"], "--repeats must be at least 1, got 0"),
        (["run", "--repeats", "many"], "repeats"),
        (["run", "--threads", "0"], "--threads must be at least 1, got 0"),
        (["run", "--full", "--quick"], "--full and --quick exclude each other"),
        (["run", "--json", "no/such/folder/r.json"], "no folder no/such/folder"),
        (["figures", "no-such.json"], "no file no-such.json"),
        (["sprint"], "unknown command 'sprint'; the commands are list, run, figures"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("spikescan: ")
    assert message in err
    assert err.count("\n") == 1


def test_help_and_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    with pytest.raises(SystemExit, match="0"):
        main(["run", "--help"])
    assert main(["list"]) == 0
    assert "training-step" in capsys.readouterr().out


def test_a_quick_run_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, table = tmp_path / "r.json", tmp_path / "r.md"
    status = main(
        ["run", "lif-floor", "--repeats", "2", "--json", str(kept), "--markdown", str(table)]
    )
    out, err = capsys.readouterr()
    assert status == 0
    assert "Quick run on smaller shapes" in out
    assert "lif-floor: not judged" in err
    (case,) = read_json(kept).cases
    assert case.verdict == "not judged"
    assert [t.contender for t in case.timings] == [OURS, YARDSTICK, COPY]
    assert all(len(t.seconds) == 2 and t.low > 0 for t in case.timings)
    floor, ours = case.fact("floor, s"), case.median(OURS)
    assert floor is not None
    assert ours is not None
    assert case.fact("our time / floor") == pytest.approx(ours / floor)
    assert "spikes differ from the float32 loop" in table.read_text()


def test_the_suite_imports_no_peer_unasked() -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['spikescan', 'bench', 'run', 'nope']\n"
        "try: runpy.run_module('spikescan', run_name='__main__')\n"
        "except SystemExit as done: print(done.code, {'spikingjelly', 'snntorch'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "2 set()"
    assert "unknown case 'nope'" in done.stderr


def test_pictures_of_kept_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(made_up(), tmp_path / "r.json")
    folder = tmp_path / "new" / "pictures"
    assert main(["figures", str(tmp_path / "r.json"), "--out", str(folder)]) == 0
    names = {f"{name}.svg" for name in (
        "cost-against-t", "share-of-floor", "training-step", "speed-against-rate"
    )}  # fmt: skip
    assert {p.name for p in folder.iterdir()} == names
    assert (folder / "training-step.svg").read_bytes().startswith(b"<svg")
    crossings = (folder / "speed-against-rate.svg").read_text()
    assert all(f"{share} %" in crossings for share in (40, 50))
    assert "cost-against-t.svg" in capsys.readouterr().out
    write_json(replace(made_up(), cases=()), tmp_path / "r.json")
    assert main(["figures", str(tmp_path / "r.json"), "--out", str(folder)]) == 2
    assert "holds no case that has a picture" in capsys.readouterr().err
