"""How runs end: signals, several processes, a variable left over from another run."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from run_support import figures, small_recipe, start, train, wait_for

from spikescan.cli import main
from spikescan.tasks import Classification
from spikescan.train.checkpoint import read_checkpoint

TWO = ("--trainer.devices=2", "--trainer.strategy=ddp")


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("number", "status", "word"),
    [
        # What an interrupt does to one process is tested below.
        pytest.param(signal.SIGINT, 130, "interrupted", marks=pytest.mark.slow),
        (signal.SIGTERM, 143, "terminated"),
    ],
)
def test_a_signal_ends_all_processes_with_the_line_to_go_on_with(
    number: int, status: int, word: str, tmp_path: Path
) -> None:
    recipe = small_recipe(tmp_path)
    process = start(recipe, tmp_path, "--name=run", "--trainer.max_epochs=100000", *TWO)
    run = tmp_path / "run"
    wait_for(run / "checkpoints" / "last.ckpt", process)
    process.send_signal(number)
    # The end of the pipes is the end of the other process too, which has inherited them.
    _, said = process.communicate(timeout=60)
    assert process.returncode == status
    line = f"spikescan: {word}; go on with: spikescan train --resume {run}\n"
    assert said.endswith(line)
    assert "Traceback" not in said
    # One process with two batches a step goes on: what two did with one batch each.
    one = ("--trainer.devices=1", "--trainer.strategy=auto", "--trainer.accumulate_grad_batches=2")
    epochs = read_checkpoint(run / "checkpoints" / "last.ckpt")["epoch"] + 2
    assert main(["train", "--resume", str(run), f"--trainer.max_epochs={epochs}", *one]) == 0


@pytest.mark.usefixtures("no_pictures")
def test_an_interrupt_while_testing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Classification.test_step

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Classification, "test_step", interrupted)
    run = tmp_path / "run"
    assert train(tmp_path) == 130
    assert capsys.readouterr().err == (
        f"spikescan: interrupted; go on with: spikescan train --resume {run}\n"
    )
    assert main(["test", str(run)]) == 130
    assert capsys.readouterr().err == "spikescan: interrupted\n"
    monkeypatch.setattr(Classification, "test_step", step)
    assert main(["train", "--resume", str(run)]) == 0  # what is left is the test
    assert (run / "results.json").is_file()


class Interrupting:
    """Is interrupted while it is destroyed, where Python drops what is raised."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)
        self.reached = True


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("step", ["training_step", "validation_step", "test_step"])
def test_an_interrupt_that_a_destructor_swallows_is_heeded(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = getattr(Classification, step)
    steps = 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 1:
            Interrupting()
        return run(*arguments)

    monkeypatch.setattr(Classification, step, interrupted)
    assert train(tmp_path, "--data.samples=96", "--trainer.num_sanity_val_steps=0") == 130
    assert capsys.readouterr().err.startswith("spikescan: interrupted; go on with: ")
    assert steps == 1


@pytest.mark.usefixtures("no_pictures")
def test_processes_started_from_outside_are_one_run(tmp_path: Path) -> None:
    # 9 test items for two processes: one would count twice, were they to share them.
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    recipe, runs = small_recipe(tmp_path), tmp_path / "runs"
    process = start(recipe, runs, "--data.samples=36", *TWO, by=torchrun)
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    (folder,) = (tmp_path / "runs").iterdir()
    before = figures(folder)
    assert round(9 * before["test_accuracy"], 4) % 1 == 0
    assert out.count("parameters, into") == 1
    assert "treespec" not in said  # a deprecation within Lightning
    # Another process alone comes to the same, from the same configuration.
    assert main(["test", str(folder)]) == 0
    assert figures(folder) == before


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_variable_left_over_overwrites_nothing(
    rank: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LOCAL_RANK", rank)
    assert train(tmp_path) == 0
    before = (tmp_path / "run" / "results.json").stat().st_mtime_ns
    assert train(tmp_path) == 2
    assert "exists already; choose another --name, or --resume it" in capsys.readouterr().err
    assert (tmp_path / "run" / "results.json").stat().st_mtime_ns == before
