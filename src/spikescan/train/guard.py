"""Training ends at the first number that is not finite, and says where it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from spikescan.data import SequenceBatch
from spikescan.errors import Stopped

Found = tuple[int, str]
"""What was found, after its place among causes, 0, and effects."""


class StayFinite(Callback):
    """Stop with one line that says where NaN or infinity was.

    Looked at are the valid steps of every batch, in training the loss, the gradient and the
    weights too, the metrics of validation and test, and all that a checkpoint would hold. In
    distributed training all processes stop at the same batch.

    Raises:
        Stopped: in the hooks of training.
    """

    def __init__(self) -> None:
        self._batch: SequenceBatch | None = None
        self._loss = torch.zeros(())
        self._excepted: set[str] = set()

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        # Such as the infinite time constant of a neuron that does not leak.
        self._excepted = {name for name, _ in _bad_ones(pl_module.state_dict().items())}

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        self._batch = batch

    def on_before_backward(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, loss: Tensor
    ) -> None:
        self._loss = loss.detach()

    def on_after_backward(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        # Here, and not after the step, for a bad gradient must not reach weights and optimiser.
        weights = [p.detach() for p in pl_module.parameters()]
        slopes = [p.grad for p in pl_module.parameters() if p.grad is not None]
        norms = [torch.nn.utils.get_total_norm(weights)]
        # Half precision with a scaler lets gradients overflow: it then skips the step itself.
        if trainer.scaler is None:
            norms.append(torch.nn.utils.get_total_norm(slopes))
        looked = [*_reals(self._batch), self._loss, *norms]
        # One answer for all, as each would wait for a GPU to finish.
        device = self._loss.device
        finite = torch.stack([x.isfinite().all().to(device) for x in looked]).all()
        if not trainer.strategy.reduce_boolean_decision(bool(finite)):
            batch_idx = trainer.fit_loop.batch_idx
            self._stop(trainer, self._train_words(trainer, pl_module), batch_idx)

    def on_validation_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._look_at_input(trainer, batch, batch_idx, "validation batch")

    def on_test_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._look_at_input(trainer, batch, batch_idx, "test batch")

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self._look_at_loss(trainer, "val/loss")

    def on_test_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self._look_at_loss(trainer, "test/loss")

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        if not trainer.is_global_zero:
            return  # what is written is the first one's
        for name, value in _bad_ones(checkpoint["state_dict"].items()):
            if name not in self._excepted:
                raise Stopped(f"stopped {_when(trainer)}: the weights {name} hold {value}")

    def _train_words(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> Found | None:
        """What this process found, the cause before its effects; None if a norm was too large."""
        parameters = list(pl_module.named_parameters())
        slopes = [(name, p.grad) for name, p in parameters if p.grad is not None]
        for name, value in _bad_ones(parameters):
            return 0, f": the weights {name} hold {value} after the batch before"
        words = _input_words(self._batch)
        if words is not None:
            return words
        if not self._loss.isfinite():
            return 2, f": the loss is {float(self._loss)}"
        for name, value in [] if trainer.scaler is not None else _bad_ones(slopes):
            return 3, f": the gradient of {name} holds {value}"
        return None

    def _look_at_input(
        self, trainer: lightning.Trainer, batch: Any, batch_idx: int, phase: str
    ) -> None:
        words = _input_words(batch)
        if not trainer.strategy.reduce_boolean_decision(words is None):
            self._stop(trainer, words, batch_idx, phase)

    def _look_at_loss(self, trainer: lightning.Trainer, name: str) -> None:
        loss = trainer.callback_metrics.get(name)
        if loss is not None and not loss.isfinite():
            raise Stopped(f"stopped {_when(trainer)}: {name} is {float(loss)}")

    def _stop(
        self, trainer: lightning.Trainer, own: Found | None, batch_idx: int, batch: str = "batch"
    ) -> None:
        found = [own]
        if trainer.world_size > 1:
            found = [None] * trainer.world_size
            torch.distributed.all_gather_object(found, own)
        # One process's bad item is in the gradient of all.
        causes = [(said[0], rank, said[1]) for rank, said in enumerate(found) if said is not None]
        if causes:
            _, rank, words = min(causes)
            process = f" of process {rank}" if trainer.world_size > 1 else ""
            raise Stopped(f"stopped {_when(trainer)}, {batch} {batch_idx}{process}{words}")


def _when(trainer: lightning.Trainer) -> str:
    return "in the test" if trainer.testing else f"in epoch {trainer.current_epoch + 1}"


def _reals(batch: SequenceBatch | None) -> list[Tensor]:
    """The parts of a batch that can hold NaN."""
    return [x for x in batch or () if isinstance(x, Tensor) and x.is_floating_point()]


def _input_words(batch: SequenceBatch | None) -> Found | None:
    """The first value of a batch that is not finite, padding aside, in words."""
    if batch is None or all(bool(x.isfinite().all()) for x in _reals(batch)):
        return None
    for name, x in (("x", batch.x), ("y", batch.y)):
        bad = ~x.isfinite()
        if batch.lengths is not None and x.ndim > 1 and x.shape[1] == batch.x.shape[1]:
            steps = torch.arange(x.shape[1], device=x.device)
            valid = steps < batch.lengths.to(x.device)[:, None]
            bad &= valid.view(*valid.shape, *[1] * (x.ndim - 2))
        if bad.any():
            first = [int(i) for i in bad.nonzero()[0]]
            value, item, *rest = float(x[tuple(first)]), *first
            place = ", ".join(f"{p} {i}" for p, i in zip(("step", "channel"), rest, strict=False))
            words = f", item {item}: the input {name} is {value}"
            return 1, words + (f" at {place}" if place else "")
    return None


def _bad_ones(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, float]]:
    """Those that hold NaN or infinity, and the first such value of each."""
    for name, x in tensors:
        if x.is_floating_point() or x.is_complex():
            bad = ~x.detach().isfinite()
            if bad.any():
                yield name, x.detach()[bad][0].item()
