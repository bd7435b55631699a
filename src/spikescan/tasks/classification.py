"""Train a network to name the class of a sequence."""

from __future__ import annotations

from math import inf
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from spikescan.data import (
    Classes,
    Facts,
    PairClasses,
    SequenceBatch,
    SequenceData,
    StepClasses,
)
from spikescan.models import Backbone, MeanHead, Network, StepHead
from spikescan.report import LOSS, Quantity, Section, confusion_section
from spikescan.tasks.base import Task, scale_of
from spikescan.tasks.firing import Firing
from spikescan.tasks.limits import within
from spikescan.tasks.optimizer import Optimizer
from spikescan.tasks.pairs import Comparison

Measure = Literal["accuracy", "macro_f1", "balanced_accuracy"]


class _F1(MulticlassF1Score):
    """Mean F1 of some of the classes."""

    def __init__(self, classes: int, counted: list[int]) -> None:
        super().__init__(classes, average="none")
        self.counted = counted

    def compute(self) -> Tensor:
        return super().compute()[self.counted].mean()


class _Recall(MulticlassAccuracy):
    """Mean recall of some of the classes."""

    def __init__(self, classes: int, counted: list[int]) -> None:
        super().__init__(classes, average="none")
        self.counted = counted

    def compute(self) -> Tensor:
        return super().compute()[self.counted].mean()


class Classification(Task):
    """Name the class of a sequence, of two, or of every step: cross-entropy of logits (B, classes).

    Of data whose target are :class:`~spikescan.data.PairClasses`, both sequences go through the
    network one by one, and a small layer compares what it makes of them; see
    :class:`~spikescan.tasks.pairs.Comparison`. Of data whose target are
    :class:`~spikescan.data.StepClasses`, logits are (B, T, classes), and all figures count steps.

    Args:
        backbone: body of the network; the head reads its mean over valid time, or every step.
        facts: what is known of the data; its target are classes.
        optimizer: how the loss is lowered.
        firing: how much the network may fire.
        label_smoothing: share of the target spread over all classes.
        class_weights: weight of each class in the loss, one number a class; "balanced" gives the
            N training items of C classes the weight N / (C N_c), so that rare classes count as
            much as frequent ones; None weighs all items alike.
        headline: the figure that a result is known by.
        counted: names of the classes over which macro F1 and balanced accuracy are the mean; None
            for those that occur. A counted class that never occurs has the score 0.
        watched: what decides on the validation data which epoch is kept. The loss, where nothing
            else is said: accuracy ties over many epochs of a small validation set.

    Raises:
        ValueError: the data have another target than classes, class weights are not one positive
            number a class, a counted class is unknown, or an option is out of range.
    """

    weights: Tensor | None

    def __init__(
        self,
        backbone: Backbone,
        facts: Facts,
        *,
        optimizer: Optimizer = Optimizer(),
        firing: Firing = Firing(),
        label_smoothing: float = 0.0,
        class_weights: Literal["balanced"] | list[float] | None = None,
        headline: Measure = "accuracy",
        counted: list[str] | None = None,
        watched: Literal["loss"] | Measure = "loss",
    ) -> None:
        if not isinstance(facts.target, Classes | PairClasses | StepClasses):
            raise ValueError(
                f"Classification needs data whose target is Classes, got {facts.target}"
            )
        self.names = facts.target.names
        pairs = isinstance(facts.target, PairClasses)
        self.each_step = isinstance(facts.target, StepClasses)
        size, width = len(self.names), backbone.features
        f1 = MulticlassF1Score(size, average="macro")
        recall = MulticlassAccuracy(size, average="macro")
        if counted is not None:
            if not counted or not set(counted) <= set(self.names):
                raise ValueError(f"counted must be some of {', '.join(self.names)}, got {counted}")
            rows = [self.names.index(name) for name in counted]
            f1, recall = _F1(size, rows), _Recall(size, rows)
        measures: dict[str, Metric] = {
            "accuracy": MulticlassAccuracy(size, average="micro"),
            "macro_f1": f1,
            "balanced_accuracy": recall,
        }
        names = sorted(measures, key=lambda name: name != headline)
        self.quantities = tuple(Quantity(name, "higher", percent=True) for name in names)
        self.watched = next((q for q in self.quantities if q.name == watched), LOSS)
        head = (
            StepHead(width, size) if self.each_step else MeanHead(width, width if pairs else size)
        )
        super().__init__(
            Network(backbone, head, scale_of(facts)),
            measures,
            optimizer=optimizer,
            firing=firing,
        )
        self.compare = Comparison(width, size) if pairs else None
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
            y = data.splits.train.y
            if self.each_step and (lengths := data.splits.train.lengths) is not None:
                y = y[torch.arange(y.shape[1]) < lengths[:, None]]
            counts = y.flatten().bincount(minlength=len(self.names))
            weights = counts.sum() / (len(self.names) * counts.clamp(min=1))
            self.weights = weights.to(self.device)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (B, classes) for sequences x (B, T, D) or (B, T); of pairs for x (2B, ...); of
        steps (B, T, classes)."""
        out = super().forward(x, lengths)
        return out if self.compare is None else self.compare(out)

    def loss(self, out: Tensor, batch: SequenceBatch) -> Tensor:
        """Cross-entropy of logits, the mean over all items or steps by weight."""
        weights = None if self.weights is None else self.weights.to(out.dtype)
        out, y = self.measured(out, batch)
        return F.cross_entropy(out, y, weight=weights, label_smoothing=self.label_smoothing)

    def predictions(self, out: Tensor) -> list[str]:
        """The most likely class, of steps that of the last one, and its probability."""
        probability, label = self._last(out).softmax(-1).max(-1)
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
            for answer, row in zip(
                super().answers(out), self._last(out).softmax(-1).tolist(), strict=True
            )
        ]

    def verdicts(self, out: Tensor, batch: SequenceBatch) -> list[str]:
        """The true class, and whether it was recognised; of steps, how many were."""
        if self.each_step:
            right = ((out.argmax(-1) == batch.y) & batch.valid()).sum(1)
            return [
                f"{100 * r / max(1, n):.1f} % of {n:,} steps recognised"
                for r, n in zip(right.tolist(), batch.valid().sum(1).tolist(), strict=True)
            ]
        return [
            f"true class {self.names[true]}, "
            + ("recognised" if true == said else f"taken for {self.names[said]}")
            for true, said in zip(batch.y.tolist(), out.argmax(-1).tolist(), strict=True)
        ]

    def _last(self, out: Tensor) -> Tensor:
        """Logits (B, classes): of steps those of the last one."""
        return out[:, -1] if out.ndim == 3 else out

    def on_test_epoch_start(self) -> None:
        self.confusion.reset()

    def collect(self, out: Tensor, batch: SequenceBatch) -> None:
        """Count which class was taken for which."""
        self.confusion.update(*self.measured(out, batch))

    def on_test_epoch_end(self) -> None:
        # Here, for all processes have to take part in the sum.
        self._counts = self.confusion.compute().cpu().numpy()

    def sections(self) -> tuple[Section, ...]:
        """The confusion matrix."""
        return (confusion_section(self._counts, self.names),)
