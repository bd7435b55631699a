"""What every task is: a network, its loss and figures, its answers in words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import lightning
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from spikescan.data import Facts, SequenceBatch, SequenceData
from spikescan.errors import UsageError
from spikescan.models import Network, Scale
from spikescan.models.norm import without_padding
from spikescan.neurons import Neuron
from spikescan.ops._core import validate
from spikescan.report import LOSS, Passage, Quantity, Section
from spikescan.tasks.firing import Firing, firing_of
from spikescan.tasks.optimizer import Optimizer

Phase = Literal["train", "val", "test"]


class Task(lightning.LightningModule, ABC):
    """What a network learns: an optimiser lowers its loss, its quantities are measured.

    A subclass is one file. Its constructor takes ``backbone``, ``facts`` of the data and then the
    options that a recipe may set; it gives the backbone its head. :attr:`quantities`,
    :meth:`loss` and :meth:`predictions` are all that it must have besides.

    Args:
        model: the backbone with the head that suits the task.
        metrics: torchmetrics' measure of each of the :attr:`quantities`, by name; they are
            updated with what :meth:`measured` gives for each batch.
        optimizer: how the loss is lowered.
        firing: how much the network may fire.
    """

    quantities: Sequence[Quantity]
    """What is measured besides the loss in all three phases, the headline first, unless
    :attr:`headline` is something that the task logs itself, in validation and test."""
    beside: Sequence[Quantity] = ()
    """What the task logs in the test alone, to be read beside the headline: naive answers."""
    watched: Quantity = LOSS
    """What decides on the validation data which epoch is kept: the loss, or a quantity."""
    start_counts: bool = False
    """Whether the network answers sensibly before training: its start is then validated, and kept
    where no epoch is better."""
    each_step: bool = False
    """Whether outputs and targets (B, T, ...) are those of every step; padding does not count."""

    def __init__(
        self,
        model: Network,
        metrics: Mapping[str, Metric],
        *,
        optimizer: Optimizer,
        firing: Firing = Firing(),
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.firing = firing
        self.metrics = nn.ModuleDict(
            {
                # A module may not be called "train".
                f"on_{phase}": nn.ModuleDict(
                    {quantity.name: metrics[quantity.name].clone() for quantity in self.quantities}
                )
                for phase in ("train", "val", "test")
            }
        )

    @property
    def headline(self) -> Quantity:
        """The one figure that a result is known by."""
        return self.quantities[0]

    def setup(self, stage: str) -> None:
        """Before training, see that the network can run the longest sequence, and measure what it
        scales its input by."""
        data: SequenceData | None = self.trainer.datamodule  # type: ignore[attr-defined]
        if data is None:
            return
        for neuron in (m for m in self.modules() if isinstance(m, Neuron)):
            if neuron.longest is not None and neuron.longest < data.facts.length:
                raise UsageError(
                    f"{type(neuron).__name__} runs sequences of up to {neuron.longest:,} steps, "
                    f"the data have up to {data.facts.length:,}: give it steps={data.facts.length}"
                )
        if stage != "fit" or not data.facts.scaled:
            return
        scales = [module for module in self.modules() if isinstance(module, Scale)]
        if not scales:
            raise UsageError(
                f"{type(self).__name__} must scale the input of {type(data).__name__}: give its "
                "Network scale=scale_of(facts)"
            )
        for scale in scales:
            scale.set(*data.statistics())

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Output (B, ...) for sequences x ((B, T, D), or (B, T) tokens)."""
        return self.model(x, lengths=lengths)[0]

    @abstractmethod
    def loss(self, out: Tensor, batch: SequenceBatch) -> Tensor:
        """Loss of an output, one number."""

    @abstractmethod
    def predictions(self, out: Tensor) -> list[str]:
        """What each row of an output says, in words."""

    def answers(self, out: Tensor) -> list[dict[str, Any]]:
        """What each row of an output says, for a program: ``prediction`` in words, and more."""
        return [{"prediction": words} for words in self.predictions(out)]

    @torch.no_grad()
    def predict(self, x: Tensor, lengths: Tensor | None = None) -> list[str]:
        """What the network says of each sequence of x ((B, T, D), or (B, T) tokens), in words; of
        every step, what it says at the last one.

        Raises:
            TypeError: x is no tensor.
            ValueError: x has another shape, no step or row, or a number that is not finite.
        """
        out = self(self.readable(x, lengths), lengths)
        if self.each_step and lengths is not None:
            out = out[torch.arange(len(out)), lengths - 1].unsqueeze(1)
        return self.predictions(out)

    @property
    def channels_read(self) -> int | None:
        """Channels of what the network reads; None for tokens."""
        backbone = self.model.backbone
        return None if backbone.vocabulary is not None else backbone.inputs

    def readable(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Sequences from outside, in the network's precision; see :meth:`predict`."""
        validate.tensor("x", x)
        if not x.numel():
            raise ValueError(f"x must hold at least one step, got shape {tuple(x.shape)}")
        if (channels := self.channels_read) is None:
            return x
        if x.ndim != 3 or x.shape[2] != channels:
            raise ValueError(f"x must have shape (B, T, {channels}), got {tuple(x.shape)}")
        valid = validate.valid_lengths(lengths, x)
        if not bool(without_padding(x, valid).isfinite().all()):
            raise ValueError("x must be finite, got a number that is NaN or infinite")
        return x.to(next(self.model.parameters()).dtype)

    def verdicts(self, out: Tensor, batch: SequenceBatch) -> list[str]:
        """What each row of an output says, and how that compares with its target, in words."""
        return self.predictions(out)

    def measured(self, out: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """What the metrics compare: the output and the targets, of every step (N, ...) those that
        count, unless a task says otherwise."""
        if not self.each_step:
            return out, batch.y
        valid = batch.valid()
        return out[valid], batch.y[valid]

    def answer(self, batch: SequenceBatch, phase: Phase) -> Tensor:
        """The output for a batch; a task that carries a state from batch to batch does it here."""
        return self(batch.x, batch.lengths)

    def weight(self, batch: SequenceBatch) -> int:
        """Of how many things the loss of a batch is the mean: its items, or the steps that
        count."""
        return int(batch.valid().sum()) if self.each_step else len(batch.y)

    def collect(self, out: Tensor, batch: SequenceBatch) -> None:
        """Keep of a test batch what :meth:`sections` shows."""

    def sections(self) -> Sequence[Section | Passage]:
        """Make the report's sections from the last test; called on the first process alone."""
        return ()

    def share(self, batch: SequenceBatch, phase: Phase) -> tuple[Tensor, Tensor]:
        """Measure a batch: its loss, and its output."""
        out = self.answer(batch, phase)
        loss = self.loss(out, batch)
        values: dict[str, Any] = {f"{phase}/{LOSS.name}": loss}
        measures = self.measured(out, batch)
        for name, metric in self.metrics[f"on_{phase}"].items():  # type: ignore[union-attr, operator]
            metric.update(*measures)
            values[f"{phase}/{name}"] = metric
        self.log_dict(
            values,
            on_step=False,
            on_epoch=True,
            prog_bar=phase != "test",
            batch_size=self.weight(batch),
            sync_dist=True,
        )
        return loss, out

    def training_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:
        if self.firing.rate is None:
            return self.share(batch, "train")[0]
        with firing_of(self.model, batch) as layers:
            loss = self.share(batch, "train")[0]
        if not layers:
            raise UsageError("task.firing.rate needs a network with neurons, this one has none")
        return loss + self.firing.term(layers)

    def validation_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        self.share(batch, "val")

    def test_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        self.collect(self.share(batch, "test")[1], batch)

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        if clip := self.optimizer.clip:
            self.clip_gradients(optimizer, gradient_clip_val=clip, gradient_clip_algorithm="norm")

    def configure_optimizers(self) -> Any:
        steps = max(1, self.trainer.estimated_stepping_batches)
        optimizer, scheduler = self.optimizer.start(self, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def scale_of(facts: Facts) -> Scale | None:
    """What a network scales its input by where the data ask for it; measured before training."""
    return Scale(torch.zeros(facts.inputs), torch.ones(facts.inputs)) if facts.scaled else None
