"""Train a network to name the class of a sequence."""

from __future__ import annotations

from math import inf
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from spikescan.data import Classes, Facts, SequenceBatch, SequenceData
from spikescan.models import Backbone, MeanHead, Network
from spikescan.report import Quantity, Section, confusion_section
from spikescan.tasks.base import Task, scale_of
from spikescan.tasks.limits import within
from spikescan.tasks.optimizer import Optimizer


class Classification(Task):
    """Name the class of a sequence: cross-entropy of logits (B, classes).

    Args:
        backbone: body of the network; the head reads its mean over valid time.
        facts: what is known of the data; its target are classes.
        optimizer: how the loss is lowered.
        label_smoothing: share of the target spread over all classes.
        class_weights: weight of each class in the loss, one number a class; "balanced" gives the
            N training items of C classes the weight N / (C N_c), so that rare classes count as
            much as frequent ones; None weighs all items alike.

    Raises:
        ValueError: the data have another target than classes, class weights are not one positive
            number a class, or an option is out of range.
    """

    quantities = (
        Quantity("accuracy", "higher", percent=True),
        Quantity("macro_f1", "higher", percent=True),
        Quantity("balanced_accuracy", "higher", percent=True),
    )
    # `watched` stays the loss: accuracy ties over many epochs of a small validation set.
    weights: Tensor | None

    def __init__(
        self,
        backbone: Backbone,
        facts: Facts,
        *,
        optimizer: Optimizer = Optimizer(),
        label_smoothing: float = 0.0,
        class_weights: Literal["balanced"] | list[float] | None = None,
    ) -> None:
        if not isinstance(facts.target, Classes):
            raise ValueError(
                f"Classification needs data whose target is Classes, got {facts.target}"
            )
        self.names = facts.target.names
        super().__init__(
            Network(backbone, MeanHead(backbone.features, len(self.names)), scale_of(facts)),
            {
                "accuracy": MulticlassAccuracy(len(self.names), average="micro"),
                "macro_f1": MulticlassF1Score(len(self.names), average="macro"),
                "balanced_accuracy": MulticlassAccuracy(len(self.names), average="macro"),
            },
            optimizer=optimizer,
        )
        within(self, label_smoothing=(label_smoothing, 0, 1))
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        weights = None
        if isinstance(class_weights, list):
            if len(class_weights) != len(self.names) or not all(0 < w < inf for w in class_weights):
                raise ValueError(
                    f"class_weights must be {len(self.names)} positive numbers, one a class, got "
                    f"{class_weights}"
                )
            weights = torch.tensor(class_weights)
        # Not kept in checkpoints: the recipe says them, or the training data do.
        self.register_buffer("weights", weights, persistent=False)
        self.confusion = MulticlassConfusionMatrix(len(self.names))

    def setup(self, stage: str) -> None:
        """Count the classes of the training data, when they are to be balanced."""
        super().setup(stage)
        if self.class_weights == "balanced":
            data: SequenceData = self.trainer.datamodule  # type: ignore[attr-defined]
            counts = data.splits.train.y.bincount(minlength=len(self.names))
            weights = counts.sum() / (len(self.names) * counts.clamp(min=1))
            self.weights = weights.to(self.device)

    def loss(self, out: Tensor, batch: SequenceBatch) -> Tensor:
        """Cross-entropy of logits (B, classes), the mean over the batch by weight."""
        weights = None if self.weights is None else self.weights.to(out.dtype)
        return F.cross_entropy(out, batch.y, weight=weights, label_smoothing=self.label_smoothing)

    def predictions(self, out: Tensor) -> list[str]:
        """The most likely class and its probability."""
        probability, label = out.softmax(-1).max(-1)
        return [
            f"{self.names[k]} ({100 * p:.1f} %)"
            for p, k in zip(probability.tolist(), label.tolist(), strict=True)
        ]

    def answers(self, out: Tensor) -> list[dict[str, Any]]:
        """The most likely class and its probability, and those of all classes."""
        return [
            {
                **answer,
                "class": self.names[max(range(len(row)), key=row.__getitem__)],
                "probability": max(row),
                "probabilities": dict(zip(self.names, row, strict=True)),
            }
            for answer, row in zip(super().answers(out), out.softmax(-1).tolist(), strict=True)
        ]

    def verdicts(self, out: Tensor, batch: SequenceBatch) -> list[str]:
        """The true class, and whether it was recognised."""
        return [
            f"true class {self.names[true]}, "
            + ("recognised" if true == said else f"taken for {self.names[said]}")
            for true, said in zip(batch.y.tolist(), out.argmax(-1).tolist(), strict=True)
        ]

    def on_test_epoch_start(self) -> None:
        self.confusion.reset()

    def collect(self, out: Tensor, batch: SequenceBatch) -> None:
        """Count which class was taken for which."""
        self.confusion.update(out, batch.y)

    def on_test_epoch_end(self) -> None:
        # Here, for all processes have to take part in the sum.
        self._counts = self.confusion.compute().cpu().numpy()

    def sections(self) -> tuple[Section, ...]:
        """The confusion matrix."""
        return (confusion_section(self._counts, self.names),)
