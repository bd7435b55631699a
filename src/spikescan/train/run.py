"""A run: one folder that holds its configuration, checkpoints, metrics and report."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger

from spikescan.data import SequenceData
from spikescan.report import write_report
from spikescan.tasks import Task
from spikescan.train.callbacks import Clock, EpochLines, SeedEachEpoch
from spikescan.train.environment import environment
from spikescan.train.record import neuron_dynamics, run_record


class UsageError(Exception):
    """Something the user asked for cannot be done; the message says what to do instead."""


@dataclass(frozen=True)
class RunFolder:
    """Where the pieces of a run lie."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def results(self) -> Path:
        return self.path / "results.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def require(self, *files: Path) -> None:
        """Raise a `UsageError` naming the first of these files that is missing."""
        for file in files:
            if not file.is_file():
                raise UsageError(f"{self.path} is not a run with {file.name}: no file {file}")


def fit(
    folder: RunFolder,
    task: Task,
    data: SequenceData,
    *,
    config: str,
    trainer: Mapping[str, Any],
    seed: int,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train, keep the best checkpoint, test it, and write the report.

    Args:
        folder: where everything goes.
        task: what to train.
        data: what to train it on.
        config: the resolved configuration as YAML, stored beside the checkpoints.
        trainer: arguments of ``lightning.Trainer``.
        seed: of dropout and of everything else that draws during training.
        resume: go on from the folder's last checkpoint.
        progress: show a progress bar.

    Returns:
        The results, as stored in ``results.json``; empty on processes other than the first.
    """
    start = neuron_dynamics(task.model)
    rows: list[dict[str, Any]] = []
    if resume:
        folder.require(folder.last)
        check_fits(task, folder.last)
        rows = _earlier_rows(folder)
    clock = Clock()
    runner = _trainer(folder, task, trainer, [clock, SeedEachEpoch(seed)], progress)
    if runner.is_global_zero:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.config.write_text(config)
        runner.logger.experiment.metrics = rows  # type: ignore[union-attr]
    runner.fit(
        task, datamodule=data, ckpt_path=folder.last if resume else None, weights_only=resume
    )
    if runner.interrupted:
        raise KeyboardInterrupt
    return _evaluate(folder, task, data, runner, config, start, clock.seconds)


def evaluate(
    folder: RunFolder,
    task: Task,
    data: SequenceData,
    *,
    config: str,
    trainer: Mapping[str, Any],
    progress: bool = True,
) -> dict[str, Any]:
    """Test a run's best checkpoint and write its report again; see :func:`fit`."""
    folder.require(folder.best)
    start = neuron_dynamics(task.model)
    seconds = None
    if folder.results.is_file():
        seconds = json.loads(folder.results.read_text()).get("training_seconds")
    options = {**trainer, "logger": False}
    runner = _trainer(folder, task, options, [], progress)
    return _evaluate(folder, task, data, runner, config, start, seconds)


def _evaluate(
    folder: RunFolder,
    task: Task,
    data: SequenceData,
    runner: lightning.Trainer,
    config: str,
    start: dict[str, dict[str, Any]],
    seconds: float | None,
) -> dict[str, Any]:
    check_fits(task, folder.best)
    state = torch.load(folder.best, map_location="cpu", weights_only=True)
    task.load_state_dict(state["state_dict"])
    (tested,) = runner.test(task, datamodule=data, verbose=False)
    results = {}
    if runner.is_global_zero:
        results = _write_results(
            folder, task.cpu(), data, tested, config, start, state["epoch"], seconds
        )
    # A process that ends early takes the others down: wait for the report, then leave together.
    runner.strategy.barrier()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return results


def _write_results(
    folder: RunFolder,
    task: Task,
    data: SequenceData,
    tested: Mapping[str, float],
    config: str,
    start: dict[str, dict[str, Any]],
    best_epoch: int,
    seconds: float | None,
) -> dict[str, Any]:
    recipe = yaml.safe_load(config).get("title") or "run"
    results: dict[str, Any] = {
        **{name.replace("/", "_"): value for name, value in tested.items()},
        "best_epoch": best_epoch + 1,  # the first epoch is 1, as in the log and the report
        "parameters": sum(p.numel() for p in task.model.parameters()),
        "training_seconds": seconds,
    }
    record = run_record(task, data, recipe, config, results, start, folder.metrics, environment())
    folder.results.write_text(json.dumps(results, indent=2) + "\n")
    (folder.path / "environment.json").write_text(json.dumps(environment(), indent=2) + "\n")
    write_report(record, folder.report)
    return results


def _trainer(
    folder: RunFolder,
    task: Task,
    options: Mapping[str, Any],
    callbacks: list[Callback],
    progress: bool,
) -> lightning.Trainer:
    arguments = dict(options)
    if arguments.get("logger") is not False:
        with warnings.catch_warnings():
            # The run's folder is never empty, and its earlier rows are carried over.
            warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
            arguments["logger"] = logger = CSVLogger(folder.path, name="", version="")
            _ = logger.experiment
        callbacks = [
            *callbacks,
            EpochLines(task),
            ModelCheckpoint(
                folder.best.parent,
                filename=folder.best.stem,
                monitor=f"val/{task.watched.name}",
                mode="min" if task.watched.better == "lower" else "max",
                enable_version_counter=False,
            ),
            # Its own callback: `save_last` would follow the best one, not every epoch.
            ModelCheckpoint(
                folder.last.parent,
                filename=folder.last.stem,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            ),
        ]
    if progress:
        callbacks = [*callbacks, RichProgressBar(leave=False)]
    return lightning.Trainer(
        **arguments,
        callbacks=callbacks,
        default_root_dir=folder.path,
        enable_progress_bar=progress,
        enable_model_summary=False,
    )


def _earlier_rows(folder: RunFolder) -> list[dict[str, Any]]:
    """Rows of the metrics file from epochs that the last checkpoint has seen to the end."""
    if not folder.metrics.is_file():
        return []
    seen = torch.load(folder.last, map_location="cpu", weights_only=True)["epoch"]
    with folder.metrics.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["epoch"] and int(row["epoch"]) <= seen]


def check_fits(task: Task, checkpoint: Path) -> None:
    """Raise a `UsageError` naming what in a checkpoint does not fit the network.

    Raises:
        UsageError: the file is not a checkpoint, or one of another network.
    """
    try:
        stored = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    except Exception as error:
        raise UsageError(f"{checkpoint} is not a readable checkpoint: {error}") from error
    wanted = task.state_dict()
    for name in [*wanted, *stored]:
        if name not in stored or name not in wanted:
            where = "the checkpoint" if name not in stored else "the configured network"
            raise UsageError(
                f"{checkpoint} is of another network: {where} has no {name}; use the "
                f"configuration it was trained with ({checkpoint.parent.parent / 'config.yaml'})"
            )
        if stored[name].shape != wanted[name].shape:
            raise UsageError(
                f"{checkpoint} is of another network: {name} has shape "
                f"{tuple(stored[name].shape)} there and {tuple(wanted[name].shape)} in the "
                f"configured network"
            )
