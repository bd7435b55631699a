"""The command line: what it lists, and one clear line for each mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import spikescan
from spikescan.cli import main
from spikescan.recipes import recipes


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys)
    assert status == 0
    for command in ("train", "test", "recipes", "data", "bench", "info"):
        assert f"\n  {command}" in out
    assert run(capsys, "--version")[1].strip() == f"spikescan {spikescan.__version__}"


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "recipes")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert set(recipes()) <= set(lines)
    for fact in ("1,024", "68,620", "causal", "classification", "always"):
        assert fact in lines["digits"]


def test_data_of_recipes_are_looked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def here() -> str:
        _, out, _ = run(capsys, "recipes", f"--root={tmp_path}")
        (line,) = (line for line in out.splitlines() if line.startswith("motion "))
        return line.split()[-1]

    assert here() == "no"
    (tmp_path / "har" / "har_spsw").mkdir(parents=True)
    assert here() == "yes"


def test_a_recipe_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "recipes", "--show", "digits")
    assert out == recipes()["digits"].read_text()
    status, _, err = run(capsys, "recipes", "--show", "digit")
    assert status == 2
    assert "unknown recipe 'digit'" in err


def test_a_reader_that_goes_away_is_no_fault() -> None:
    command = [sys.executable, "-m", "spikescan", "recipes", "--show", "digits"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_info_names_the_level_and_versions(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "info")
    for fact in ("CPU kernels", "threads", "devices", "torch", "spikescan"):
        assert fact in out


def test_data_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "data", "list")
    assert status == 0
    assert "mnist" in out
    assert "data root" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fly"], ["unknown command 'fly'", "train"]),
        (["train", "nonsense"], ["unknown recipe 'nonsense'", "digits", ".yaml"]),
        (["train", "missing.yaml"], ["no recipe file missing.yaml"]),
        (["train", "digits", "--model.depth", "-1"], ["depth must be at least 1", "got -1"]),
        (["train", "digits", "--model.block.neuron.tau", "-3"], ["tau must be positive", "-3"]),
        (
            ["train", "etth1", "--data.window", "1e9"],
            ["--data.window must be a whole number, got '1e9'\n"],
        ),
        (["train", "--resume"], ["--resume needs a value"]),
        (["train", "--resume="], ["--resume needs a value"]),
        (["train", "digits", "--resume", "a"], ["leave out 'digits'"]),
        (["--verson"], ["unknown command '--verson'; did you mean --version?"]),
        (["bench", "run", "--cases"], ["cases is given by its place, without --cases"]),
        (["export", "a", "--to", "c", "-o", "x"], ["unknown option -o; did you mean --out?\n"]),
        (["export", "arc", "c"], ["'c' is one argument too many; options are given as"]),
        (["train", "--resume", "nowhere"], ["nowhere is not a run", "config.yaml"]),
        (["test"], ["which run?", "spikescan test RUN"]),
        (["test", "nowhere"], ["there is no run nowhere", "digits"]),
        (["data", "get", "nothing"], ["nothing", "digits", "mnist"]),
    ],
)
def test_mistakes_are_one_clear_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert err.startswith("spikescan: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


LIF = ["--model.block.neuron", "spikescan.LIF"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.depht", "3"], "unknown option --model.depht; did you mean --model.depth?"),
        (["--lr=0.1"], "unknown option --lr; did you mean --task.optimizer.lr?"),
        (["--epochs", "3"], "unknown option --epochs; did you mean --trainer.max_epochs?"),
        (["more"], "'more' is one argument too many; options are given as --option value"),
        (["--model.depth", "many"], "--model.depth must be a whole number, got 'many'"),
        (["--task.optimizer.lr", "-1"], "lr of Optimizer must be at least 0, got -1.0"),
        (["--task.optimizer.warmup", "3"], "warmup of Optimizer must be from 0 to 1, got 3.0"),
        (
            ["--task.optimizer.schedule", "linear"],
            "--task.optimizer.schedule must be one of 'cosine', 'constant', got 'linear'",
        ),
        (
            ["--data", "Nonsense"],
            "--data: Nonsense is not the path of a class; give it with its module: module.Class",
        ),
        (
            ["--data", "my.module.Data"],
            "--data: there is no module my, neither installed nor in the current folder",
        ),
        (["--data.batch_size", "0"], "batch_size must be at least 1, got 0"),
        (["--model.depth"], "--model.depth needs a value"),
        (["--seed", "9" * 20], f"--seed must fit into 64 bits, got {'9' * 20}"),
        (
            ["--task.optimizer.lrr=1"],
            "unknown option --task.optimizer.lrr; did you mean --task.optimizer.lr?",
        ),
        (
            ["--task.lr=1"],
            "--task: spikescan.tasks.Classification has no option lr; did you mean optimizer.lr?",
        ),
        (
            ["--task.optimizer=adam"],
            "--task.optimizer must be a group of options, such as --task.optimizer.lr, got 'adam'",
        ),
        (["--task=spikescan.data.Probe"], "--task: spikescan.data.Probe is not a Task"),
        (["--data=spikescan.LIF"], "--data: spikescan.LIF is not a SequenceData"),
        (
            ["--model.block.neuron=spikescan.PSN"],
            "--model.block.neuron: a value is needed for steps",
        ),
        (
            ["--trainer.gpus=1"],
            "unknown option --trainer.gpus; did you mean --trainer.accelerator gpu "
            "--trainer.devices N?",
        ),
        (
            ["--trainer.gradient_clip_val=1"],
            "unknown option --trainer.gradient_clip_val; did you mean --task.optimizer.clip?",
        ),
        (
            ["--data.batch_sze", "3"],
            "--data: spikescan.data.Digits has no option batch_sze; did you mean batch_size?",
        ),
        (
            ["--model.block.neuron", "spikescan.LFI"],
            "--model.block.neuron: spikescan has no LFI; did you mean spikescan.LIF?",
        ),
        (["--model.block", "spikescan.LIF"], "--model.block: spikescan.LIF is not a Block"),
        (
            [*LIF, "--model.block.neuron.beta", "0.9"],
            "--model.block.neuron: spikescan.LIF has no option beta; did you mean tau, a time "
            "constant in steps: beta = exp(-1 / tau)?",
        ),
        (
            [*LIF, "--model.block.neuron.reset", "subtract"],
            "--model.block.neuron.reset must be one of 'soft', 'hard', 'none', got 'subtract'; did "
            "you mean 'soft'?",
        ),
    ],
)
def test_a_wrong_option_is_told_with_what_to_do(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert run(capsys, "train", "digits", *options) == (2, "", f"spikescan: {message}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: [open\n", ", line 2, column 1: no YAML: expected ',' or ']', but got "),
        ("", " must hold options by name, such as data and model, got nothing\n"),
        ("- a\n", " must hold options by name, such as data and model, got a list\n"),
        ("\udcff", " is no YAML file: 'utf-8' codec can't decode byte 0xff"),
        ("modle: {depth: 1}\n", ": unknown option modle; did you mean model?\n"),
    ],
)
def test_a_damaged_recipe_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    status, _, err = run(capsys, "train", str(path))
    assert status == 2
    assert err.startswith(f"spikescan: {path}{message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model: {block: {class_path: spikescan.models.SDTCM}}",
            "--data must be given, here or in the recipe: a class such as spikescan.data.Digits",
        ),
        (
            "data: {class_path: spikescan.data.Digits}",
            "block must be given for a depth of 2, got None",
        ),
        (
            "task: {optimizer: {lrr: 1}}",
            "--task: spikescan.tasks.Classification has no option optimizer.lrr; did you mean "
            "optimizer.lr?",
        ),
    ],
)
def test_what_a_recipe_lacks_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert run(capsys, "train", str(path)) == (2, "", f"spikescan: {message}\n")


def test_missing_data_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, _, err = run(
        capsys, "train", "smnist", f"--data.root={tmp_path}", f"--runs={tmp_path}/runs"
    )
    assert status == 2
    assert err.count("\n") == 1
    assert str(tmp_path / "mnist") in err
    assert "spikescan data get mnist" in err


def test_an_existing_run_is_not_overwritten(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("")
    status, _, err = run(capsys, "train", "digits", f"--runs={tmp_path}", "--name=mine")
    assert status == 2
    assert "exists already" in err


def test_options_of_a_recipe_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["train", "digits", "--help"])
    assert done.value.code == 0
    out = capsys.readouterr().out
    assert "spikescan.tasks.Classification" in out
    assert "--model.depth" in out
    assert "--trainer.max_epochs" in out
    with pytest.raises(SystemExit):
        main(["train", "digits", "--task.help=spikescan.tasks.Classification"])
    assert "--task.optimizer.neuron_lr" in capsys.readouterr().out
