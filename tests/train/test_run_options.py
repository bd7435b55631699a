"""Every option of Lightning's Trainer trains to a result, or is refused before a folder is made."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import lightning
import pytest
import torch
from run_support import figures, train

from spikescan.cli import main

pytestmark = pytest.mark.usefixtures("no_pictures")

WORKS = None
NO_RESULT = "leaves no result"
GPU = torch.cuda.is_available() or torch.backends.mps.is_available()
NO_GPU = (
    "spikescan: trainer.accelerator must be one of auto, cpu on this machine, got "
    "{value!r}; torch finds no GPU here"
)
TRIALS: dict[str, dict[str, str | None]] = {
    "accelerator": {
        "cpu": WORKS,
        "tpu": "spikescan: trainer: ",
        **dict.fromkeys(() if GPU else ("gpu", "cuda", "xpu"), NO_GPU),
    },
    "strategy": {
        name: "spikescan: trainer.strategy must be 'auto' or a form of 'ddp' whose processes are "
        f"programs of their own, got '{name}'"
        for name in ("ddp_spawn", "fsdp", "dp", "nonsense")
    },
    "devices": {
        "1": WORKS,
        **{
            number: "spikescan: trainer.devices must be the number of processes on the CPU, at "
            f"least 1, got {said}"
            for number, said in (("0", "'0'"), ("-1", "'-1'"), ("two", "'two'"), ("[0]", "[0]"))
        },
    },
    "num_nodes": {"1": WORKS},
    "precision": {
        "64-true": WORKS,
        "bf16-true": WORKS,
        "bf16-mixed": WORKS,
        "16-true": "spikescan: trainer.precision '16-true' cannot train: AdamW's epsilon is zero",
    },
    "fast_dev_run": {"true": NO_RESULT, "2": NO_RESULT},
    "max_epochs": {
        "1": WORKS,
        "0": "spikescan: trainer.max_epochs must not be 0: nothing would be left to do",
        "-1": "spikescan: trainer.max_epochs=-1 has no end; give trainer.max_steps or",
        "-3": "must be a non-negative integer or -1",
    },
    "min_epochs": {"1": WORKS},
    "max_steps": {"1": WORKS, "3": WORKS, "0": "trainer.max_steps must not be 0"},
    "min_steps": {"1": WORKS},
    "max_time": {"00:00:01:00": WORKS},
    "limit_train_batches": {"1": WORKS, "0": "must not be 0", "0.01": "0.01 * 2 < 1"},
    "limit_val_batches": {"1": WORKS, "0": WORKS},
    "limit_test_batches": {"1": WORKS, "0": "must not be 0"},
    "limit_predict_batches": {"1": WORKS},
    "overfit_batches": {"1": WORKS},
    "val_check_interval": {
        "0.5": WORKS,
        "100": "must be less than or equal to the number",
        "0": "spikescan: trainer.val_check_interval must be positive, got 0",
    },
    "check_val_every_n_epoch": {
        "3": WORKS,
        "0": "spikescan: trainer.check_val_every_n_epoch must be positive, got 0",
    },
    "num_sanity_val_steps": {"0": WORKS},
    "log_every_n_steps": {"1": WORKS},
    "enable_checkpointing": {"false": "trainer.enable_checkpointing must be true"},
    "accumulate_grad_batches": {
        "2": WORKS,
        "0": "must not be 0",
        "-1": "spikescan: trainer.accumulate_grad_batches must be positive, got -1",
    },
    "deterministic": {"true": WORKS},
    "benchmark": {"true": WORKS},
    "inference_mode": {"false": WORKS},
    "use_distributed_sampler": {"false": WORKS},
    "profiler": {"simple": WORKS},
    "detect_anomaly": {"true": WORKS},
    "barebones": {"true": NO_RESULT},
    "plugins": {"null": WORKS},
    "sync_batchnorm": {"true": WORKS},
    "reload_dataloaders_every_n_epochs": {"1": WORKS},
    "enable_autolog_hparams": {"false": WORKS},
    "model_registry": {"null": WORKS},
    "logger": {"null": WORKS, "false": "trainer.logger must name classes that stand beside"},
    "callbacks": {"null": WORKS},
}
# These leave the steps of a training as they are: one run has all of them.
TOGETHER = (
    *("accelerator", "devices", "num_nodes", "min_epochs", "min_steps", "max_time"),
    *("num_sanity_val_steps", "log_every_n_steps", "deterministic", "inference_mode"),
    *("use_distributed_sampler", "profiler", "detect_anomaly", "plugins", "sync_batchnorm"),
    *("reload_dataloaders_every_n_epochs", "enable_autolog_hparams", "model_registry", "logger"),
    "callbacks",
)
ALONE = [
    ((f"--trainer.{option}={value}",), value, refusal)
    for option, trials in TRIALS.items()
    for value, refusal in trials.items()
    if not (option in TOGETHER and refusal is WORKS)
]
ALL = tuple(
    f"--trainer.{option}={value}"
    for option in TOGETHER
    for value, refusal in TRIALS[option].items()
    if refusal is WORKS
)
NOT_OFFERED = {
    *("default_root_dir", "enable_progress_bar", "enable_model_summary"),
    *("gradient_clip_val", "gradient_clip_algorithm"),
}


def test_every_option_is_tried() -> None:
    assert set(TRIALS) | NOT_OFFERED == set(inspect.signature(lightning.Trainer).parameters)


@pytest.mark.parametrize(
    ("options", "value", "refusal"),
    [pytest.param(*trial, id=" ".join(trial[0])) for trial in ALONE]
    + [pytest.param(ALL, "", WORKS, id="together")],
)
def test_option_works_or_is_refused(
    options: tuple[str, ...],
    value: str,
    refusal: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = train(tmp_path, *options)
    torch.use_deterministic_algorithms(False)
    said = capsys.readouterr().err
    if refusal is None:
        assert status == 0, said
        assert (
            0 <= json.loads((tmp_path / "run" / "results.json").read_text())["test_accuracy"] <= 1
        )
        assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()
    else:
        assert status == 2
        assert refusal.format(value=value) in said
        assert said.count("\n") == 1
        assert not (tmp_path / "run").exists()


def test_time_ends_a_training_without_a_number_of_epochs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    until = ("--trainer.max_epochs=-1", "--trainer.max_time=00:00:00:01")
    assert train(tmp_path, *until) == 2
    assert capsys.readouterr().err == (
        "spikescan: task.optimizer.schedule and task.optimizer.warmup need a known end: give "
        "trainer.max_epochs or trainer.max_steps, or task.optimizer.schedule=constant and "
        "task.optimizer.warmup=0\n"
    )
    assert not (tmp_path / "run").exists()
    constant = ("--task.optimizer.schedule=constant", "--task.optimizer.warmup=0")
    assert train(tmp_path, *until, *constant) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("epoch 1  train loss")
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_a_run_of_another_precision_is_tested_again_to_the_same_figures(
    precision: str, tmp_path: Path
) -> None:
    assert train(tmp_path, f"--trainer.precision={precision}") == 0
    results = tmp_path / "run" / "results.json"
    before = figures(tmp_path / "run")
    results.unlink()
    assert main(["test", str(tmp_path / "run")]) == 0
    assert figures(tmp_path / "run") == {**before, "training_seconds": None}


def test_without_validation_the_last_epoch_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, "--trainer.limit_val_batches=0") == 0
    assert json.loads((tmp_path / "run" / "results.json").read_text())["best_epoch"] == 2
    assert "val loss" not in capsys.readouterr().out
    folder = tmp_path / "run" / "checkpoints"
    assert (folder / "best.ckpt").read_bytes() == (folder / "last.ckpt").read_bytes()


def test_a_network_for_shorter_sequences_than_the_data_have_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    psn = "--model.block.neuron=spikescan.PSN"
    assert train(tmp_path, psn, "--model.block.neuron.steps=15") == 2
    assert capsys.readouterr().err == (
        "spikescan: PSN runs sequences of up to 15 steps, the data have up to 16: give it "
        "steps=16\n"
    )
    assert not (tmp_path / "run").exists()


def test_the_bar_counts_epochs_from_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path, "--progress=true", "--trainer.max_epochs=1") == 0
    printed = capsys.readouterr().out
    assert "Epoch 1/1" in printed
    assert "Epoch 0" not in printed
