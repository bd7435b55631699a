"""How a loss is lowered: AdamW, its rates, and how they move during training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from spikescan.errors import UsageError
from spikescan.models import parameter_groups
from spikescan.tasks.limits import within


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    r"""AdamW with rates of its own for neurons, a warm-up and a schedule.

    .. math::
        \eta_k = \eta \cdot \begin{cases} (k + 1) / w & k < w \\
        \tfrac12 \left(1 + \cos \pi \tfrac{k - w}{K - w}\right) & k \ge w \end{cases}

    for step k of K with w steps of warm-up; with the constant schedule the second line is 1.

    Args:
        lr: learning rate of weights.
        neuron_lr: learning rate of the neurons' own parameters.
        weight_decay: decay of matrices; vectors and neurons do not decay.
        schedule: "cosine" rises linearly during the warm-up, then falls to zero along a half
            cosine; "constant" stays after the warm-up.
        warmup: share of all steps spent rising to the full rate.
        clip: largest norm of the gradient, 0 for no limit.

    Raises:
        ValueError: a number is negative or not finite, or warmup above 1.
    """

    lr: float = 5e-3
    neuron_lr: float = 1e-3
    weight_decay: float = 0.01
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = 0.1
    clip: float = 0.0

    def __post_init__(self) -> None:
        within(self, lr=(self.lr, 0, math.inf), neuron_lr=(self.neuron_lr, 0, math.inf))
        within(self, weight_decay=(self.weight_decay, 0, math.inf), warmup=(self.warmup, 0, 1))
        within(self, clip=(self.clip, 0, math.inf))

    def start(self, model: nn.Module, steps: float) -> tuple[torch.optim.AdamW, LambdaLR]:
        """The optimiser of a network's parameters, and what moves its rates after each step.

        Args:
            model: whose parameters are trained.
            steps: of the whole training; may be infinite where nothing depends on it.

        Raises:
            UsageError: the schedule needs a known end.
        """
        if math.isinf(steps) and (self.schedule != "constant" or self.warmup):
            raise UsageError(
                "task.optimizer.schedule and task.optimizer.warmup need a known end: give "
                "trainer.max_epochs or trainer.max_steps, or task.optimizer.schedule=constant and "
                "task.optimizer.warmup=0"
            )
        optimizer = torch.optim.AdamW(
            parameter_groups(
                model, lr=self.lr, neuron_lr=self.neuron_lr, weight_decay=self.weight_decay
            )
        )
        rise = max(1, round(self.warmup * steps)) if self.warmup else 1

        def factor(step: int) -> float:
            if step < rise:
                return (step + 1) / rise
            if self.schedule == "constant":
                return 1.0
            return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

        return optimizer, LambdaLR(optimizer, factor)
