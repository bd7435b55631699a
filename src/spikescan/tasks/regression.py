"""Train a network to say values about a sequence."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError

from spikescan.data import Facts, SequenceBatch, Values
from spikescan.models import Backbone, LastHead, MeanHead, Network
from spikescan.report import Quantity, Section
from spikescan.report.style import BLUE, MUTED, NARROW, WIDE, headline, styled
from spikescan.tasks.base import Task, scale_of
from spikescan.tasks.firing import Firing
from spikescan.tasks.optimizer import Optimizer

_SHOWN = 1_000
"""Test sequences in the picture, at most."""


class Regression(Task):
    r"""Say values about a sequence: squared error.

    .. math:: \hat y = \mu + \sigma \, f(x)

    with mean and standard deviation of the training targets, by which errors are divided in the
    loss. The mean squared error is in the unit of the data; beside it stands that of who always
    says the mean.

    Args:
        backbone: body of the network.
        facts: what is known of the data; its target are values.
        optimizer: how the loss is lowered.
        firing: how much the network may fire.
        readout: what the head reads: the "last" step of the stream, or the "mean" over all.

    Raises:
        ValueError: the data have another target than values.
    """

    quantities = (Quantity("mse"), Quantity("mae"))
    beside = (Quantity("mean_answer_mse"),)
    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        backbone: Backbone,
        facts: Facts,
        *,
        optimizer: Optimizer = Optimizer(clip=1.0),
        firing: Firing = Firing(),
        readout: Literal["last", "mean"] = "last",
    ) -> None:
        if not isinstance(facts.target, Values):
            raise ValueError(f"Regression needs data whose target is Values, got {facts.target}")
        self.names = facts.target.names
        size = len(self.names)
        head = (LastHead if readout == "last" else MeanHead)(backbone.features, size)
        super().__init__(
            Network(backbone, head, scale_of(facts)),
            {"mse": MeanSquaredError(), "mae": MeanAbsoluteError()},
            optimizer=optimizer,
            firing=firing,
        )
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))

    def setup(self, stage: str) -> None:
        """Before training, measure mean and deviation of its targets."""
        super().setup(stage)
        if stage == "fit":
            y: Tensor = self.trainer.datamodule.splits.train.y  # type: ignore[attr-defined]
            spread, centre = torch.std_mean(y.double(), 0, correction=0)
            self.centre.copy_(centre)
            self.spread.copy_(torch.where(spread > 0, spread, 1))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The values (B, C) for sequences x (B, T, D) or (B, T), in the unit of the data."""
        return self.centre + self.spread * super().forward(x, lengths)

    def loss(self, out: Tensor, batch: SequenceBatch) -> Tensor:
        """Mean squared error, in standard deviations of the training targets."""
        return F.mse_loss(out / self.spread, batch.y.to(out.dtype) / self.spread)

    def predictions(self, out: Tensor) -> list[str]:
        """The values by name."""
        return [
            ", ".join(f"{name} {v:.4g}" for name, v in zip(self.names, row, strict=True))
            for row in out.tolist()
        ]

    def answers(self, out: Tensor) -> list[dict[str, Any]]:
        """The values by name."""
        return [
            {**answer, "values": dict(zip(self.names, row, strict=True))}
            for answer, row in zip(super().answers(out), out.tolist(), strict=True)
        ]

    def verdicts(self, out: Tensor, batch: SequenceBatch) -> list[str]:
        """The values, and the true ones."""
        true = self.predictions(batch.y)
        return [f"{a}; true {b}" for a, b in zip(self.predictions(out), true, strict=True)]

    def on_test_epoch_start(self) -> None:
        self._naive = MeanSquaredError()
        self._pairs: list[Tensor] = []

    def collect(self, out: Tensor, batch: SequenceBatch) -> None:
        """Keep what was said and what is true."""
        self._naive.update(self.centre.cpu().expand_as(batch.y), batch.y.cpu().float())
        self._pairs.append(torch.stack((batch.y.to(out.dtype), out)).float().cpu())

    def on_test_epoch_end(self) -> None:
        self.log(f"test/{self.beside[0].name}", self._naive.compute())

    def sections(self) -> tuple[Section, ...]:
        """What was said against what is true."""
        true, said = torch.cat(self._pairs, 1)[:, :_SHOWN].numpy()
        error, naive = float(((said - true) ** 2).mean()), float(self._naive.compute())
        return (
            Section(
                heading="Said and true",
                draw=partial(said_and_true, true, said, self.names, naive),
                alt=f"What was said against what is true, {len(true)} test sequences, mean squared "
                f"error {error:.3g}; who always says the mean has {naive:.3g}.",
                caption="A dot is a sequence of the test. On the dotted line it is said as it is; "
                "who always says the mean of the training data has all dots at one height.",
            ),
        )


@styled
def said_and_true(
    true: NDArray[Any],
    said: NDArray[Any],
    names: tuple[str, ...],
    naive: float,
    *,
    width: float = WIDE,
) -> Figure:
    """Draw values said (N, C) against true ones (N, C), a panel for each of the first three."""
    shown = min(len(names), 3 if width > NARROW else 1)
    figure = Figure((width, min(width / shown, 4.2)), layout="constrained")
    panels = figure.subplots(1, shown, squeeze=False)[0]
    for axes, name, x, y in zip(panels, names, true.T, said.T, strict=False):
        ends = [float(np.min(x)), float(np.max(x))]
        axes.plot(ends, ends, color=MUTED, lw=0.9, ls=(0, (2, 2)))
        axes.plot(x, y, ".", ms=4, color=BLUE)
        axes.set(xlabel=f"true {name}", ylabel="said")
    error = ((said - true) ** 2).mean()
    words = f"mean squared error {error:.3g}, the mean of all {naive:.3g}"
    headline(panels[0], words, inches=width / shown - 0.7)
    return figure
