"""Lightning's Trainer for a run, and which of its options a run cannot be done with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from spikescan.errors import UsageError
from spikescan.train.callbacks import Progress
from spikescan.train.checkpoint import WholeCheckpoints

_FOR_TEST = ("accelerator", "precision", "limit_test_batches", "deterministic", "benchmark")
"""Options that hold for the test as well, which one process does alone."""


def fit_trainer(
    options: Mapping[str, Any],
    *,
    callbacks: list[Callback],
    logger: Logger,
    root: Path,
    progress: bool,
) -> lightning.Trainer:
    """Make the Trainer that trains.

    Args:
        options: arguments of ``lightning.Trainer``.
        callbacks: what happens around the epochs, before those of the options.
        logger: of the metrics, beside those of the options.
        root: folder of what Lightning itself may leave, such as profiles.
        progress: show a progress bar.

    Raises:
        UsageError: an option does not exist here, or a run cannot be done with it.
    """
    _check(options)
    plugins = options.get("plugins") or []
    runner = _make(
        {
            **options,
            "logger": [logger, *_given(options, "logger")],
            "default_root_dir": root,
            "plugins": [*(plugins if isinstance(plugins, list) else [plugins]), WholeCheckpoints()],
        },
        [*callbacks, *_given(options, "callbacks")],
        progress,
    )
    if not isinstance(runner.strategy, SingleDeviceStrategy | DDPStrategy):
        raise UsageError(
            f"trainer.strategy must be 'auto' or a form of 'ddp', got {options['strategy']!r}"
        )
    return runner


def test_trainer(
    options: Mapping[str, Any], *, callbacks: list[Callback], progress: bool
) -> lightning.Trainer:
    """Make the Trainer that tests: one process, for several would count some items twice.

    Raises:
        UsageError: an option does not exist here, or a run cannot be done with it.
    """
    _check(options)
    kept = {name: options[name] for name in _FOR_TEST if name in options}
    alone = {"devices": 1, "plugins": [LightningEnvironment()], "logger": False}
    return _make({**kept, **alone, "enable_checkpointing": False}, callbacks, progress)


def said_by_lightning(error: Exception) -> bool:
    """Whether an error is Lightning's word on its options, not a fault in what it called."""
    if isinstance(error, MisconfigurationException):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return isinstance(error, ValueError | TypeError | RuntimeError) and where.startswith(
        "lightning."
    )


def _given(options: Mapping[str, Any], name: str) -> list[Any]:
    """The user's own callbacks or loggers: none, one or several."""
    given = options.get(name)
    if isinstance(given, bool):
        raise UsageError(
            f"trainer.{name} must name classes that stand beside the run's own, got {given}"
        )
    if given is None:
        return []
    return list(given) if isinstance(given, Iterable) else [given]


def _make(
    options: Mapping[str, Any], callbacks: list[Callback], progress: bool
) -> lightning.Trainer:
    if progress:
        callbacks = [*callbacks, Progress(leave=False)]
    try:
        return lightning.Trainer(
            **{**options, "callbacks": callbacks},
            enable_progress_bar=progress,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ValueError, TypeError, ImportError, RuntimeError) as error:
        raise UsageError(f"trainer: {error}") from error


def _check(options: Mapping[str, Any]) -> None:
    """Raise a `UsageError` for the options after which nothing would be left of a training."""
    if options.get("fast_dev_run"):
        raise UsageError(
            "trainer.fast_dev_run leaves no result; for a short trial give trainer.max_epochs=1, "
            "trainer.limit_train_batches=1, trainer.limit_val_batches=1 and "
            "trainer.limit_test_batches=1"
        )
    if options.get("barebones"):
        raise UsageError("trainer.barebones leaves no result: it keeps no checkpoint and no metric")
    if options.get("enable_checkpointing") is False:
        raise UsageError(
            "trainer.enable_checkpointing must be true: the result of a run is that of its best "
            "checkpoint"
        )
    _check_devices(options.get("accelerator", "auto"), options.get("devices", "auto"))
    strategy = options.get("strategy", "auto")
    if isinstance(strategy, str) and (
        not (strategy == "auto" or strategy.startswith("ddp"))
        or any(word in strategy for word in ("spawn", "fork", "notebook"))
    ):
        raise UsageError(
            f"trainer.strategy must be 'auto' or a form of 'ddp' whose processes are programs of "
            f"their own, got {strategy!r}"
        )
    if options.get("precision") == "16-true":
        raise UsageError(
            "trainer.precision '16-true' cannot train: AdamW's epsilon is zero in half precision; "
            "give '16-mixed' or 'bf16-true'"
        )
    for name in (
        *("max_epochs", "max_steps", "limit_train_batches", "limit_test_batches"),
        "accumulate_grad_batches",
    ):
        if options.get(name) == 0:
            raise UsageError(f"trainer.{name} must not be 0: nothing would be left to do")
    for name in ("accumulate_grad_batches", "check_val_every_n_epoch", "val_check_interval"):
        value = options.get(name)
        if isinstance(value, int | float) and value <= 0:
            raise UsageError(f"trainer.{name} must be positive, got {value}")
    endless = options.get("max_epochs") == options.get("max_steps", -1) == -1
    if endless and options.get("max_time") is None:
        raise UsageError(
            "trainer.max_epochs=-1 has no end; give trainer.max_steps or trainer.max_time"
        )


def _check_devices(accelerator: Any, devices: Any) -> None:
    """Raise a `UsageError` for devices that this machine does not have."""
    there = [
        *(["cuda"] if torch.cuda.is_available() else []),
        *(["mps"] if torch.backends.mps.is_available() else []),
    ]
    known = ["auto", "cpu", *(["gpu"] if there else []), *there]
    if isinstance(accelerator, str) and accelerator not in (*known, "tpu"):
        without = "" if there else "; torch finds no GPU here"
        raise UsageError(
            f"trainer.accelerator must be one of {', '.join(known)} on this machine, got "
            f"{accelerator!r}{without}"
        )
    if accelerator == "cpu" or (accelerator == "auto" and not there):
        number = str(devices)
        if number != "auto" and not (number.isdecimal() and int(number) > 0):
            raise UsageError(
                "trainer.devices must be the number of processes on the CPU, at least 1, got "
                f"{devices!r}"
            )
