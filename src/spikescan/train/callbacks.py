"""What happens around the epochs of a run."""

from __future__ import annotations

import time

import lightning
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar

from spikescan.report import LOSS
from spikescan.tasks import Task


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
    """One line on the terminal after each epoch: losses, headline figures, time."""

    def __init__(self, task: Task) -> None:
        self.shown = tuple(dict.fromkeys((LOSS, task.headline)))

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
        parts = [
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
        ]
        seconds = time.perf_counter() - self._start
        epoch = _epoch(trainer)
        print(f"{epoch}  {'   '.join(parts)}   {seconds:.1f} s", flush=True)


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
