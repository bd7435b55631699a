"""What every task is: a network, its loss and figures, its answers in words."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import lightning
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from spikescan.data import Facts, SequenceBatch, SequenceData
from spikescan.errors import UsageError
from spikescan.models import Network, Scale, parameter_groups
from spikescan.report import LOSS, Quantity, Section

Phase = Literal["train", "val", "test"]
Schedule = Literal["cosine", "constant"]


class Task(lightning.LightningModule, ABC):
    """What a network learns: AdamW lowers its loss, its quantities are measured.

    A subclass is one file. Its constructor takes ``backbone``, ``facts`` of the data and then the
    options that a recipe may set; it gives the backbone its head. :attr:`quantities`,
    :meth:`loss` and :meth:`predictions` are all that it must have besides.

    Args:
        model: the backbone with the head that suits the task.
        metrics: torchmetrics' measure of each of the :attr:`quantities`, by name; they are
            updated with what :meth:`measured` gives for each batch.
        lr: learning rate of weights.
        neuron_lr: learning rate of the neurons' own parameters.
        weight_decay: decay of matrices; vectors and neurons do not decay.
        schedule: "cosine" rises linearly during the warm-up, then falls to zero along a half
            cosine; "constant" stays after the warm-up.
        warmup: share of all steps spent rising to the full rate.
        clip: largest norm of the gradient, 0 for no limit.
    """

    quantities: ClassVar[tuple[Quantity, ...]]
    """What is measured besides the loss in all three phases, the headline first."""
    beside: Sequence[Quantity] = ()
    """What the task logs in the test alone, to be read beside the headline: naive answers."""
    watched: ClassVar[Quantity] = LOSS
    """What decides on the validation data which epoch is kept: the loss, or a quantity."""

    def __init__(
        self,
        model: Network,
        metrics: Mapping[str, Metric],
        *,
        lr: float,
        neuron_lr: float,
        weight_decay: float,
        schedule: Schedule,
        warmup: float,
        clip: float,
    ) -> None:
        super().__init__()
        within(self, lr=(lr, 0, math.inf), neuron_lr=(neuron_lr, 0, math.inf))
        within(self, weight_decay=(weight_decay, 0, math.inf), warmup=(warmup, 0, 1))
        within(self, clip=(clip, 0, math.inf))
        self.model = model
        self.lr, self.neuron_lr, self.weight_decay = lr, neuron_lr, weight_decay
        self.schedule, self.warmup, self.clip = schedule, warmup, clip
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
        """Before training, measure what the network scales its input by."""
        data: SequenceData | None = self.trainer.datamodule  # type: ignore[attr-defined]
        if stage != "fit" or data is None or not data.facts.scaled:
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

    @torch.no_grad()
    def predict(self, x: Tensor, lengths: Tensor | None = None) -> list[str]:
        """What the network says of each sequence of x ((B, T, D), or (B, T) tokens), in words."""
        return self.predictions(self(x, lengths))

    def verdicts(self, out: Tensor, batch: SequenceBatch) -> list[str]:
        """What each row of an output says, and how that compares with its target, in words."""
        return self.predictions(out)

    def measured(self, out: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """What the metrics compare: the output and the targets, unless a task says otherwise."""
        return out, batch.y

    def collect(self, out: Tensor, batch: SequenceBatch) -> None:
        """Keep of a test batch what :meth:`sections` shows."""

    def sections(self) -> Sequence[Section]:
        """Make the report's sections from the last test; called on the first process alone."""
        return ()

    def share(self, batch: SequenceBatch, phase: Phase) -> tuple[Tensor, Tensor]:
        """Measure a batch: its loss, and its output."""
        out = self(batch.x, batch.lengths)
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
            batch_size=len(batch.y),
            sync_dist=True,
        )
        return loss, out

    def training_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:
        return self.share(batch, "train")[0]

    def validation_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        self.share(batch, "val")

    def test_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        self.collect(self.share(batch, "test")[1], batch)

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        if self.clip:
            self.clip_gradients(
                optimizer, gradient_clip_val=self.clip, gradient_clip_algorithm="norm"
            )

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(
            parameter_groups(
                self.model, lr=self.lr, neuron_lr=self.neuron_lr, weight_decay=self.weight_decay
            )
        )
        steps = max(1, self.trainer.estimated_stepping_batches)
        if math.isinf(steps) and (self.schedule != "constant" or self.warmup):
            raise UsageError(
                "task.schedule and task.warmup need a known end: give trainer.max_epochs or "
                "trainer.max_steps, or task.schedule=constant and task.warmup=0"
            )
        rise = max(1, round(self.warmup * steps)) if self.warmup else 1

        def factor(step: int) -> float:
            if step < rise:
                return (step + 1) / rise
            if self.schedule == "constant":
                return 1.0
            return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def scale_of(facts: Facts) -> Scale | None:
    """What a network scales its input by where the data ask for it; measured before training."""
    return Scale(torch.zeros(facts.inputs), torch.ones(facts.inputs)) if facts.scaled else None


def within(task: object, **options: tuple[float, float, float]) -> None:
    """Raise ``ValueError`` naming the first option, (value, low, high), that is out of range."""
    for name, (value, low, high) in options.items():
        if not (low <= value <= high and math.isfinite(value)):
            limits = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
            raise ValueError(f"{name} of {type(task).__name__} must be {limits}, got {value}")
