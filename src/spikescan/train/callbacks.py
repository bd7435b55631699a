"""What happens around the epochs of a run."""

from __future__ import annotations

import time

import lightning
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar

from spikescan.report import LOSS
from spikescan.tasks import Task
from spikescan.train.checkpoint import start_counts


class SeedEachEpoch(Callback):
    """Seed torch's random numbers by (seed, epoch, process), so that a run resumed at an epoch
    draws what it would have drawn without the break."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        torch.manual_seed(hash((self.seed, trainer.current_epoch, trainer.global_rank)) % 2**63)


class EpochLines(Callback):
    """One line on the terminal after each epoch: losses, headline figures, time; where the start
    counts, one for it too, and its row in the metrics."""

    def __init__(self, task: Task) -> None:
        self.shown = tuple(dict.fromkeys((LOSS, task.headline)))

    def on_sanity_check_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        if start_counts(trainer) and trainer.is_global_zero:
            values = {k: float(v) for k, v in trainer.callback_metrics.items()}
            for logger in trainer.loggers:
                logger.log_metrics({**values, "epoch": -1}, step=0)
            print(f"at the start  {self._told(values)}", flush=True)

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        self._start = time.perf_counter()

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        if not trainer.is_global_zero:
            return
        values = {k: float(v) for k, v in trainer.callback_metrics.items()}
        seconds = time.perf_counter() - self._start
        print(f"{_epoch(trainer)}  {self._told(values)}   {seconds:.1f} s", flush=True)

    def _told(self, values: dict[str, float]) -> str:
        return "   ".join(
            " ".join(
                [phase]
                + [
                    f"{q.words} {q.text(values[f'{phase}/{q.name}'])}"
                    for q in self.shown
                    if f"{phase}/{q.name}" in values
                ]
            )
            for phase in ("train", "val")
            if f"{phase}/{LOSS.name}" in values
        )


class Progress(RichProgressBar):
    """Lightning's progress bar, with epochs counted from 1."""

    def _get_train_description(self, current_epoch: int) -> str:
        return _epoch(self.trainer).capitalize()


def _epoch(trainer: lightning.Trainer) -> str:
    end = f"/{trainer.max_epochs}" if trainer.max_epochs not in (None, -1) else ""
    return f"epoch {trainer.current_epoch + 1}{end}"


class Clock(Callback):
    """Seconds spent training, over all sittings of a run; kept in the checkpoint."""

    def __init__(self) -> None:
        self.before, self._start = 0.0, 0.0

    @property
    def seconds(self) -> float:
        return self.before + (time.perf_counter() - self._start if self._start else 0.0)

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        self._start = time.perf_counter()

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        self.before, self._start = self.seconds, 0.0

    def state_dict(self) -> dict[str, float]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.before = state_dict["seconds"]
