"""Train a network to name the class of a sequence."""

from __future__ import annotations

import math
from typing import Any, Literal

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from spikescan.data import SequenceBatch
from spikescan.models import Classifier, parameter_groups


class Classification(lightning.LightningModule):
    """Cross-entropy training of a classifier with AdamW.

    Args:
        model: network that gives logits and a state.
        lr: learning rate of weights.
        neuron_lr: learning rate of the neurons' own parameters.
        weight_decay: decay of matrices; vectors and neurons do not decay.
        schedule: "cosine" rises linearly during the warm-up, then falls to zero along a half
            cosine; "constant" stays after the warm-up.
        warmup: share of all steps spent rising to the full rate.
        label_smoothing: share of the target spread over all classes.
        clip: largest norm of the gradient, 0 for no limit.
    """

    def __init__(
        self,
        model: Classifier,
        *,
        lr: float = 5e-3,
        neuron_lr: float = 1e-3,
        weight_decay: float = 0.01,
        schedule: Literal["cosine", "constant"] = "cosine",
        warmup: float = 0.1,
        label_smoothing: float = 0.0,
        clip: float = 0.0,
    ) -> None:
        super().__init__()
        self.model = model
        self.lr, self.neuron_lr, self.weight_decay = lr, neuron_lr, weight_decay
        self.schedule, self.warmup, self.clip = schedule, warmup, clip
        self.label_smoothing = label_smoothing
        self.accuracy = torch.nn.ModuleDict(
            {
                phase: MulticlassAccuracy(model.classes, average="micro")
                for phase in ("on_train", "on_val", "on_test")
            }
        )
        self.confusion = MulticlassConfusionMatrix(model.classes)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (B, classes)."""
        return self.model(x, lengths=lengths)[0]

    def _share(self, batch: SequenceBatch, phase: str) -> tuple[Tensor, Tensor]:
        logits = self(batch.x, batch.lengths)
        loss = F.cross_entropy(logits, batch.y, label_smoothing=self.label_smoothing)
        accuracy = self.accuracy[f"on_{phase}"]
        accuracy(logits, batch.y)
        self.log_dict(
            {f"{phase}/loss": loss, f"{phase}/accuracy": accuracy},  # type: ignore[dict-item]
            on_step=False,
            on_epoch=True,
            prog_bar=phase != "test",
            batch_size=len(batch.y),
            sync_dist=True,
        )
        return loss, logits

    def training_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:
        return self._share(batch, "train")[0]

    def validation_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        self._share(batch, "val")

    def test_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        _loss, logits = self._share(batch, "test")
        self.confusion(logits, batch.y)

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
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        rise = max(1, round(self.warmup * steps))

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
