"""What a training says of layers that fire next to never, or next to always."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from torch.utils.hooks import RemovableHandle

from spikescan.data import SequenceBatch
from spikescan.report import activity_notes
from spikescan.train.record import fired, neurons_of


class FirstActivity(Callback):
    """One line for each layer that is silent or saturated in the first batch of a training.

    :attr:`notes` are kept in the checkpoint, for the report.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._rates: dict[str, np.ndarray[Any, Any]] = {}
        self._hooks: list[RemovableHandle] = []

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: SequenceBatch,
        batch_idx: int,
    ) -> None:
        if trainer.global_step or batch_idx or not trainer.is_global_zero:
            return
        for name, neuron in neurons_of(pl_module.model).items():  # type: ignore[arg-type]

            def keep(_module: Any, _inputs: Any, out: Any, name: str = name) -> None:
                count, steps = fired(out[0].detach(), batch)
                self._rates[name] = count.cpu().numpy() / max(1, steps)

            self._hooks.append(neuron.register_forward_hook(keep))

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        if not self._hooks:
            return
        while self._hooks:
            self._hooks.pop().remove()
        self.notes = [f"at the start {note}" for note in activity_notes(self._rates)]
        for note in self.notes:
            print(note, flush=True)

    def state_dict(self) -> dict[str, list[str]]:
        return {"notes": self.notes}

    def load_state_dict(self, state_dict: dict[str, list[str]]) -> None:
        self.notes = state_dict["notes"]


def first_notes(checkpoint: Mapping[str, Any]) -> list[str]:
    """The notes of the training that a checkpoint is of."""
    return checkpoint["callbacks"].get(FirstActivity().state_key, {"notes": []})["notes"]
