"""Checkpoints: written whole, read only if whole, the best one and the last one of a run."""

from __future__ import annotations

import io
import json
import math
import shutil
import zipfile
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities import rank_zero_only

from spikescan.errors import UsageError
from spikescan.tasks import Task
from spikescan.train.environment import environment
from spikescan.train.folder import RunFolder
from spikescan.train.whole import whole


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, whole at any moment: see :func:`spikescan.train.whole.whole`."""

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        # By way of memory: errors of the disk come as they are, not as torch's own.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with whole(Path(path)) as part:
            part.write_bytes(buffer.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's contents on the CPU, plain values and tensors only.

    Raises:
        UsageError: the file is cut off, has other bytes than were written, or is something else.
    """
    try:
        # torch reads on over flipped bytes; the checksums that it has written tell.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"{damaged} has other bytes than were written")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UsageError(f"{path} is not a readable checkpoint: {error}") from error


def newest(folder: RunFolder) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint to go on from, and its contents; None where no epoch has ended.

    It is the last one. The best one takes its place where it is damaged or missing, and a line
    says so.

    Raises:
        UsageError: there are checkpoints, and none is whole.
    """
    if not folder.best.is_file() and not folder.last.is_file():
        return None
    try:
        return folder.last, read_checkpoint(folder.last)
    except UsageError as error:
        if not folder.best.is_file():
            raise
        best = read_checkpoint(folder.best)
        if best["epoch"] < 0 or (best["epoch"] == 0 and not folder.last.is_file()):
            return None  # the start, or of an epoch that may not have come to its end
        _replace_last(folder, error)
        return folder.best, best


@rank_zero_only
def _replace_last(folder: RunFolder, error: UsageError) -> None:
    print(f"{error}; going on from {folder.best.name}", flush=True)
    with whole(folder.last) as part:
        shutil.copyfile(folder.best, part)


def check_fits(task: Task, path: Path, checkpoint: dict[str, Any]) -> None:
    """Raise a `UsageError` naming what in a checkpoint does not fit the network.

    Raises:
        UsageError: it is one of another network.
    """
    stored, wanted = checkpoint["state_dict"], task.state_dict()
    for name in [*wanted, *stored]:
        if name not in stored or name not in wanted:
            where = "the checkpoint" if name not in stored else "the configured network"
            raise UsageError(
                f"{path} is of another network: {where} has no {name}; use the "
                f"configuration it was trained with ({path.parent.parent / 'config.yaml'})"
            )
        if stored[name].shape != wanted[name].shape:
            raise UsageError(
                f"{path} is of another network: {name} has shape "
                f"{tuple(stored[name].shape)} there and {tuple(wanted[name].shape)} in the "
                f"configured network"
            )


def start_counts(trainer: lightning.Trainer) -> bool:
    """Whether what was validated before the epochs of this sitting is the network's start, an
    answer to be compared with theirs: on all of the data that they are validated on."""
    task: Task = trainer.lightning_module  # type: ignore[assignment]
    all_data = trainer.num_sanity_val_steps == math.inf and sum(trainer.num_sanity_val_batches) > 0
    return task.start_counts and all_data and not trainer.global_step


class Keep(Checkpoint):
    """Keep the configuration when training begins, for a failed start is to leave none, and what it
    began on, which a resumed run would not know; after each
    epoch the last checkpoint, and the best one where the epoch was the best.

    Where the start counts, see :func:`start_counts`, it is epoch -1, which people call 0: the best
    one if the first epoch that is validated is not better.

    Args:
        config: the configuration, YAML.
        monitor: name of the metric that decides.
        mode: "min" or "max", which of its values is best.
    """

    def __init__(self, config: str, monitor: str, mode: str) -> None:
        # The first process alone knows where to, and it alone writes; all take part in a save.
        self.folder = RunFolder(Path())
        self.config = config
        self.monitor = monitor
        self.sign = 1 if mode == "min" else -1
        self.best = math.inf
        self.steps: int | None = None
        self._start_leads = self._validated = self._saved = False

    def on_sanity_check_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        if start_counts(trainer):
            self.best = self.sign * float(trainer.callback_metrics[self.monitor])
            self._start_leads = True

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        steps = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        if self.steps not in (None, steps):
            raise UsageError(
                f"an epoch of this run has {self.steps} steps and would have {steps} now, after "
                f"which the learning rate would jump: give the batch size and the number of "
                f"devices that it began with, or others with the same product"
            )
        self.steps = steps
        if trainer.is_global_zero:
            with whole(self.folder.config) as part:
                part.write_text(self.config, encoding="utf-8")
            if not self.folder.environment.is_file():
                with whole(self.folder.environment) as part:
                    part.write_text(json.dumps(environment(), indent=2) + "\n", encoding="utf-8")
        if self._start_leads and start_counts(trainer):
            trainer.save_checkpoint(self.folder.start)

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        if not trainer.global_step:
            checkpoint["epoch"] = -1

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        if self._validated:
            score = self.sign * float(trainer.callback_metrics[self.monitor])
            if score < self.best:
                self.best = score
                self._save(trainer, self.folder.best)
                if trainer.is_global_zero:
                    self.folder.start.unlink(missing_ok=True)
            elif self._start_leads and trainer.is_global_zero:
                self.folder.start.replace(self.folder.best)
            self._start_leads = False
        self._validated = False
        # An epoch that time or steps have cut short is done again when the run goes on; where it
        # is the first one, it is all that there is to test.
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._save(trainer, self.folder.last)
        elif not self._saved:
            self._save(trainer, self.folder.best)

    def _save(self, trainer: lightning.Trainer, path: Path) -> None:
        self._saved = True
        trainer.save_checkpoint(path)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "steps": self.steps, "start_leads": self._start_leads}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.steps = state_dict["best"], state_dict["steps"]
        self._start_leads = state_dict.get("start_leads", False)  # runs of before know no start
        self._saved = True
