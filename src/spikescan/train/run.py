"""A run: train, keep the best checkpoint, test it, write the report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
import yaml

from spikescan.data import SequenceData
from spikescan.errors import UsageError
from spikescan.report import write_report
from spikescan.tasks import Task
from spikescan.train.activity import FirstActivity, first_notes
from spikescan.train.callbacks import Clock, EpochLines, SeedEachEpoch
from spikescan.train.checkpoint import Keep, check_fits, newest, read_checkpoint
from spikescan.train.ending import told
from spikescan.train.environment import environment, trained_by
from spikescan.train.folder import NewRun, RunFolder
from spikescan.train.guard import StayFinite
from spikescan.train.interrupt import Signals
from spikescan.train.members import keep_members
from spikescan.train.metrics import MetricsFile, check_metrics, rows_until
from spikescan.train.options import fit_trainer, test_trainer
from spikescan.train.record import neuron_dynamics, run_record
from spikescan.train.resume import MAY_DIFFER_TO_GO_ON, MAY_DIFFER_TO_TEST, check_same
from spikescan.train.whole import whole


class Finished(NamedTuple):
    """A run that came to its end."""

    folder: RunFolder
    results: dict[str, Any]
    """As stored in ``results.json``."""


def fit(
    run: NewRun | RunFolder,
    task: Task,
    data: SequenceData,
    *,
    config: str,
    trainer: Mapping[str, Any],
    seed: int,
    progress: bool = True,
) -> Finished | None:
    """Train, keep the best checkpoint, test it, and write the report.

    Args:
        run: a new run, or the folder of one to go on with from its last checkpoint.
        task: what to train.
        data: what to train it on.
        config: the resolved configuration as YAML, stored beside the checkpoints.
        trainer: arguments of ``lightning.Trainer``.
        seed: of dropout and of everything else that draws during training.
        progress: show a progress bar.

    Returns:
        The run; None on processes other than the first.

    Raises:
        UsageError: something cannot be done at all, or not with this run.
        Stopped: training was interrupted, or met a number that is not finite.
    """
    signals, clock, metrics = Signals(), Clock(), MetricsFile()
    mode = "min" if task.watched.better == "lower" else "max"
    keep = Keep(config, f"val/{task.watched.name}", mode)
    if task.start_counts and trainer.get("num_sanity_val_steps") is None:
        trainer = {**trainer, "num_sanity_val_steps": -1}  # all of the validation data
    runner = fit_trainer(
        trainer,
        callbacks=[
            signals,
            StayFinite(),
            clock,
            FirstActivity(),
            SeedEachEpoch(seed),
            EpochLines(task),
            keep,
        ],
        logger=metrics,
        root=run.runs if isinstance(run, NewRun) else run.path,
        progress=progress,
    )
    start = neuron_dynamics(task.model)
    with signals.heeded(), _opened(run, runner.is_global_zero) as folder:
        metrics.path, keep.folder = folder.metrics, folder
        try:
            checkpoint = None
            if isinstance(run, RunFolder):
                checkpoint, metrics.rows = _earlier(run, task, config, runner.max_epochs)
            if runner.is_global_zero:
                title = yaml.safe_load(config).get("title") or folder.path.name
                parameters = sum(p.numel() for p in task.parameters())
                print(f"{title}: {parameters:,} parameters, into {folder.path}", flush=True)
                keep_members(folder, data)
            runner.fit(task, datamodule=data, ckpt_path=checkpoint)
            if runner.interrupted:
                raise KeyboardInterrupt
            if not _last_one(runner):
                return None
            if not folder.best.is_file():  # Nothing was validated.
                with whole(folder.best) as part:
                    shutil.copyfile(folder.last, part)
            seconds = clock.seconds
            results = _test(folder, task, data, config, trainer, progress, start, seconds, signals)
        except BaseException as error:
            new, first = isinstance(run, NewRun), runner.is_global_zero
            ending = told(error, folder, new=new, first=first, signals=signals)
            # While this is still a running program: its threads spin on the connection to processes
            # that are gone, and may wait for the interpreter that waits for them.
            _leave_group()
            if ending is error:
                raise
            raise ending from error
    return Finished(folder, results)


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
    folder.require(folder.config, folder.best)
    start = neuron_dynamics(task.model)
    signals = Signals()
    with signals.heeded(), folder.held():
        try:
            check_fits(task, folder.best, read_checkpoint(folder.best))
            check_same(folder, config, MAY_DIFFER_TO_TEST, "tested")
            if yaml.safe_load(config)["data"] == folder.read_config()["data"]:
                keep_members(folder, data)
            check_metrics(folder)
            seconds = _training_seconds(folder)
            return _test(folder, task, data, config, trainer, progress, start, seconds, signals)
        except (KeyboardInterrupt, SystemExit) as error:
            raise signals.stopped() from error


@contextmanager
def _opened(run: NewRun | RunFolder, first: bool) -> Iterator[RunFolder]:
    """The run's folder, for this run alone; the first process makes it and alone writes to it."""
    if not first:
        yield run if isinstance(run, RunFolder) else RunFolder(run.runs)
        return
    folder = run.make() if isinstance(run, NewRun) else run
    with folder.held():
        yield folder


def _earlier(
    folder: RunFolder, task: Task, config: str, epochs: int | None
) -> tuple[Path | None, list[dict[str, Any]]]:
    """The checkpoint to go on from, None for the start, and the metrics up to there."""
    folder.require(folder.config)
    found = newest(folder)
    if found is not None:
        check_fits(task, *found)
    check_same(folder, config, MAY_DIFFER_TO_GO_ON, "resumed")
    if found is None:
        return None, []
    path, checkpoint = found
    done = checkpoint["epoch"] + 1
    if epochs is not None and 0 <= epochs < done:
        raise UsageError(
            f"{folder.path} has trained {done} epochs already; trainer.max_epochs must be at "
            f"least {done}, got {epochs}"
        )
    return path, rows_until(folder, checkpoint["epoch"])


def _last_one(runner: lightning.Trainer) -> bool:
    """End the work of several processes; whether this is the one that goes on."""
    if torch.distributed.is_initialized():
        # A process that ends early takes the others down: leave together.
        runner.strategy.barrier()
        _leave_group()
    return runner.is_global_zero


def _leave_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _training_seconds(folder: RunFolder) -> float | None:
    if not folder.results.is_file():
        return None
    try:
        return json.loads(folder.results.read_text(encoding="utf-8"))["training_seconds"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder.results} is damaged ({error}); remove it to do without its training time"
        ) from error


def _test(
    folder: RunFolder,
    task: Task,
    data: SequenceData,
    config: str,
    trainer: Mapping[str, Any],
    progress: bool,
    start: dict[str, dict[str, Any]],
    seconds: float | None,
    signals: Signals,
) -> dict[str, Any]:
    runner = test_trainer(trainer, callbacks=[signals, StayFinite()], progress=progress)
    checkpoint = read_checkpoint(folder.best)
    # First, so that double weights are not rounded on their way in.
    runner.precision_plugin.convert_module(task)
    task.load_state_dict(checkpoint["state_dict"])
    (tested,) = runner.test(task, datamodule=data, verbose=False)
    results: dict[str, Any] = {
        "headline": asdict(task.headline),
        **{name.replace("/", "_"): value for name, value in tested.items()},
        "best_epoch": checkpoint["epoch"] + 1,  # the first is 1, the start 0, as in the log
        "parameters": sum(p.numel() for p in task.parameters()),
        "causal": task.model.causal,
        "training_seconds": seconds,
    }
    # Before the report too: whatever fails there, the figures stay.
    _write_json(folder.results, results)
    here = {**environment(), **trained_by(folder.environment)}
    _write_json(folder.environment, here)
    notes = [*data.notes, *first_notes(checkpoint)]
    record = run_record(
        task.cpu(),
        data,
        yaml.safe_load(config).get("title") or "run",
        config,
        results,
        start,
        folder.metrics,
        here,
        runner.precision_plugin,
        notes,
    )
    for note in record.notes[len(notes) :]:
        print(note, flush=True)
    _write_json(folder.results, results)
    write_report(record, folder.report)
    return results


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    with whole(path) as part:
        part.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
