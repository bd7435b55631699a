"""Train a network to say how a series goes on."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
import torch.nn.functional as F
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, R2Score, RelativeSquaredError

from spikescan.data import Facts, Horizon, SequenceBatch
from spikescan.models import Backbone, LastHead, Network, WindowHead
from spikescan.report import Quantity, Section
from spikescan.report.style import BLUE, INK, MUTED, ORANGE, WIDE, headline, shorten, styled
from spikescan.tasks.base import Task, scale_of
from spikescan.tasks.firing import Firing
from spikescan.tasks.optimizer import Optimizer

_SHOWN = 4
"""Channels in the picture of a forecast, at most."""
_WEIGHTS = 1_000_000_000
"""Weights of the head, at most: they are four gigabytes, and training takes four times as much."""

Array = NDArray[Any]


class _R2(R2Score):
    """The share of variance explained, averaged over steps and channels."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds.flatten(1), target.flatten(1))


class _RSE(RelativeSquaredError):
    """Root of the squared error relative to that of the overall mean."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds.flatten(), target.flatten())


def bases(x: Tensor, steps: int, season: int) -> dict[str, Tensor]:
    """What a forecast of windows x (B, T, C) may be relative to, each (B, 1 or ``steps``, C).

    Args:
        x: the windows.
        steps: how far ahead.
        season: steps of a season; 0 for none.

    Returns:
        "last", the last value; "mean", that of the window; and "season", the last one again.
    """
    found = {"last": x[:, -1:], "mean": x.mean(1, keepdim=True)}
    if season:
        again = -(-steps // season)
        found["season"] = x[:, -season:].repeat(1, again, 1)[:, :steps]
    return found


class Forecasting(Task):
    r"""Forecast all steps of a horizon at once, relative to the window that is known.

    .. math:: \hat y_h = b_h + \sigma \, f\!\left(\frac{x - c}{\sigma}\right)_h

    sigma is the standard deviation of the window's channel, c and b what ``relative_to`` says: the
    network learns how the series departs from the naive answer b, with which it begins. Channels
    that go apart are series of their own for the network, which is the same for all.

    Forecasts are in the unit of the data. Errors are in standard deviations of the training data,
    where those are to be scaled, as is usual in the field; beside them stand those of the naive
    answers.

    R2 is averaged over steps and channels; RSE is the root of the squared error relative to that
    of the overall mean, as in the spiking literature.

    Args:
        backbone: body of the network.
        facts: what is known of the data; its target is a horizon.
        optimizer: how the loss is lowered.
        firing: how much the network may fire.
        relative_to: "last", c and b are the window's last value; "mean", its mean; "season", c is
            its mean and b its last season over again.
        season: steps of a season, such as 24 for hours; 0 for none.
        readout: what the head reads: the "last" step of the stream, or the whole "window", each
            step with weights of its own.

    Raises:
        ValueError: the data have another target than a horizon, no season fits the window, or the
            head would be too large.
    """

    quantities = (Quantity("mse"), Quantity("mae"), Quantity("r2", "higher"), Quantity("rse"))
    watched = quantities[0]
    start_counts = True

    def __init__(
        self,
        backbone: Backbone,
        facts: Facts,
        *,
        optimizer: Optimizer = Optimizer(lr=2e-3, clip=1.0),
        firing: Firing = Firing(),
        relative_to: Literal["last", "mean", "season"] = "last",
        season: int = 0,
        readout: Literal["last", "window"] = "window",
    ) -> None:
        if not isinstance(facts.target, Horizon):
            raise ValueError(
                f"Forecasting needs data whose target is a Horizon, got {facts.target}"
            )
        least = 1 if relative_to == "season" else 0
        if not least <= season <= facts.length:
            raise ValueError(
                f"season must be within {least} .. {facts.length}, the window, got {season}"
            )
        steps, self.channels = facts.target.steps, facts.target.channels
        self.apart = facts.target.apart
        outputs = steps if self.apart else steps * len(self.channels)
        weights = (1 if readout == "last" else facts.length) * backbone.features * outputs
        if weights > _WEIGHTS:
            raise ValueError(
                f"window x features x horizon must be at most {_WEIGHTS:,}, the weights of the "
                f"head, got {facts.length:,} x {backbone.features:,} x {outputs:,}"
            )
        head = (
            LastHead(backbone.features, outputs)
            if readout == "last"
            else WindowHead(backbone.features, outputs, steps=facts.length)
        )
        # Training begins at the naive answer, and leaves it where that pays.
        nn.init.zeros_(head.linear.weight)
        nn.init.zeros_(head.linear.bias)
        super().__init__(
            Network(backbone, head),
            {
                "mse": MeanSquaredError(),
                "mae": MeanAbsoluteError(),
                "r2": _R2(),
                "rse": _RSE(squared=False),
            },
            optimizer=optimizer,
            firing=firing,
        )
        self.steps, self.season, self.relative_to = steps, season, relative_to
        self.window, self._inputs = facts.length, facts.inputs
        self.unit = scale_of(facts)
        naive = ("last_value", "last_season") if season else ("last_value",)
        self.beside = tuple(Quantity(f"{name}_mse") for name in naive)
        self.by_step = nn.ModuleDict(
            {name: MeanSquaredError(num_outputs=steps) for name in ("forecast", *naive)}
        )

    @property
    def channels_read(self) -> int:
        """Channels of a window: those that are forecast come first."""
        return self._inputs

    def readable(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Windows from outside, whole ones."""
        x = super().readable(x, lengths)
        if x.shape[1] != self.window:
            raise ValueError(
                f"x must have the {self.window} steps of a window, the latest last, got "
                f"{x.shape[1]}"
            )
        return x

    def naive(self, x: Tensor) -> dict[str, Tensor]:
        """What is said without learning, (B, H, C): the last value, the last season over again."""
        said = bases(x[..., : len(self.channels)], self.steps, self.season)
        answers = {"last_value": said["last"].expand(-1, self.steps, -1)}
        return answers | ({"last_season": said["season"]} if self.season else {})

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The forecast (B, H, C) for windows x (B, T, D), in the unit of the data.

        Raises:
            ValueError: lengths are given.
        """
        if lengths is not None:
            raise ValueError("Forecasting needs windows of one length, got lengths")
        x = x if self.unit is None else self.unit(x)
        # Rounding must not become the scale of a window that stands still.
        scale = x.std(1, correction=0, keepdim=True).clamp(min=1e-3)
        known = bases(x, self.steps, self.season)
        centre = known["last" if self.relative_to == "last" else "mean"]
        size = (len(x), len(self.channels))
        base = known[self.relative_to][..., : size[1]]
        window = (x - centre) / scale
        if self.apart:
            window = window.transpose(1, 2).flatten(0, 1).unsqueeze(-1)
            out = self.model(window)[0].unflatten(0, size).transpose(1, 2)
        else:
            out = self.model(window)[0].unflatten(1, (self.steps, size[1]))
        said = base + scale[..., : size[1]] * out
        return said if self.unit is None else said * self.unit.std[: size[1]] + self._shift

    @property
    def _shift(self) -> Tensor:
        assert self.unit is not None
        return self.unit.mean[: len(self.channels)]

    def standard(self, values: Tensor) -> Tensor:
        """Values (..., C) of the predicted channels in the unit of the errors."""
        if self.unit is None:
            return values
        return (values - self._shift) / self.unit.std[: len(self.channels)]

    def measured(self, out: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """Forecast and truth, in the unit of the errors."""
        return self.standard(out).contiguous(), self.standard(batch.y).contiguous()

    def loss(self, out: Tensor, batch: SequenceBatch) -> Tensor:
        """Mean squared error."""
        return F.mse_loss(*self.measured(out, batch))

    def predictions(self, out: Tensor) -> list[str]:
        """The next value and the last one of the horizon, for each channel."""
        return [
            ", ".join(
                f"{name} {first:.6g} next and {last:.6g} after {self.steps} steps"
                for name, first, last in zip(
                    self.channels, row[0].tolist(), row[-1].tolist(), strict=True
                )
            )
            for row in out
        ]

    def answers(self, out: Tensor) -> list[dict[str, Any]]:
        """The forecast of each channel."""
        return [
            {**answer, "forecast": dict(zip(self.channels, map(_short, row.T), strict=True))}
            for answer, row in zip(super().answers(out), out, strict=True)
        ]

    def verdicts(self, out: Tensor, batch: SequenceBatch) -> list[str]:
        """The error, beside that of the last value."""
        last = self.naive(batch.x)["last_value"]
        return [
            f"mse {F.mse_loss(said, true):.3g} over the next {self.steps} steps, "
            f"{F.mse_loss(naive, true):.3g} with the last value"
            for said, naive, true in zip(*map(self.standard, (out, last, batch.y)), strict=True)
        ]

    def on_test_epoch_start(self) -> None:
        self._example: tuple[Array, Array, Array] | None = None
        for metric in self.by_step.values():
            metric.reset()  # type: ignore[operator]

    def collect(self, out: Tensor, batch: SequenceBatch) -> None:
        """Sum the errors of each step ahead; keep the first window."""
        for name, said in {"forecast": out, **self.naive(batch.x)}.items():
            metric = self.by_step[name]
            both = self.measured(said, batch)
            metric.update(*(v.transpose(1, 2).flatten(0, 1) for v in both))  # type: ignore[operator]
        if self._example is None:
            self._example_error = float(
                F.mse_loss(*self.measured(out[:1], batch._replace(y=batch.y[:1])))
            )
            known = batch.x[0, :, : len(self.channels)]
            self._example = tuple(v.float().cpu().numpy() for v in (known, batch.y[0], out[0]))  # type: ignore[assignment]

    def on_test_epoch_end(self) -> None:
        self._errors = {name: m.compute() for name, m in self.by_step.items()}  # type: ignore[operator]
        self.log_dict(
            {f"test/{q.name}": self._errors[q.name[: -len("_mse")]].mean() for q in self.beside}
        )

    def _of_all(self) -> str:
        count = len(self.channels)
        shown = f", {_SHOWN} of its {count} columns" if count > _SHOWN else ""
        if self.apart and count > 1:
            return f"{shown}. Each column goes through the network alone, as a sequence of its own"
        return shown

    def _of_errors(self) -> str:
        if self.unit is None:
            return ""
        return "; errors, here and in all figures, are in standard deviations of the training data"

    def sections(self) -> tuple[Section, ...]:
        """The first forecast of the test, and the error of each step ahead."""
        assert self._example is not None
        known, true, said = self._example
        errors = {name: e.cpu().numpy() for name, e in self._errors.items()}
        ends = ", ".join(f"{name.replace('_', ' ')} {e.mean():.3g}" for name, e in errors.items())
        return (
            Section(
                heading="A forecast",
                draw=partial(forecast, known, true, said, self.channels, self._example_error),
                alt=f"The first window of the test, {len(known)} steps, and the {self.steps} that "
                f"follow: truth and forecast of {', '.join(self.channels[:_SHOWN])}.",
                caption=f"The first window of the test data{self._of_all()}. The upright line is "
                "the present: what stands left of it is known to the network. Values are in the "
                f"unit of the data{self._of_errors()}.",
            ),
            Section(
                heading="Error by step ahead",
                draw=partial(error_by_step, errors),
                alt=f"Mean squared error over {self.steps} steps ahead: {ends}.",
                caption="The further ahead, the harder. A forecast is worth something where its "
                "line lies below the naive ones, which need no network.",
            ),
        )


def _short(values: Tensor) -> list[float]:
    """Values as the shortest numbers that are the same in float32."""
    return [float(str(value)) for value in values.float().cpu().numpy()]


@styled
def forecast(
    known: Array,
    true: Array,
    said: Array,
    names: tuple[str, ...],
    error: float,
    *,
    width: float = WIDE,
) -> Figure:
    """Draw a window (T, C), what followed (H, C) and its forecast (H, C), a panel a channel; the
    error in the unit of the measures, in which channels can be compared."""
    shown = min(len(names), _SHOWN)
    figure = Figure((width, 1.7 * shown + 0.8), layout="constrained")
    past, ahead = np.arange(1 - len(known), 1), np.arange(1, len(true) + 1)
    grid = figure.subplots(shown, 1, squeeze=False, sharex=True)[:, 0]
    for axes, name, before, after, line in zip(grid, names, known.T, true.T, said.T, strict=False):
        axes.plot(past, before, color=INK, lw=1.2)
        axes.plot(ahead, after, color=INK, lw=1.2, label="truth")
        axes.plot(ahead, line, color=BLUE, lw=1.6, label="forecast")
        axes.axvline(0.5, color=MUTED, lw=0.9, ls=(0, (2, 2)))
        axes.set_ylabel(shorten(name, 16))
    grid[0].legend(loc="best")
    grid[-1].set_xlabel("step from the present")
    headline(grid[0], f"{len(true)} steps ahead: mse {error:.3g}", inches=width - 0.7)
    return figure


@styled
def error_by_step(errors: dict[str, Array], *, width: float = WIDE) -> Figure:
    """Draw the mean squared error (H,) of each step ahead, a line an answer, the first ours."""
    figure = Figure((width, 3.2), layout="constrained")
    axes = figure.subplots()
    for (name, values), colour in zip(errors.items(), (BLUE, MUTED, ORANGE), strict=False):
        steps = np.arange(1, len(values) + 1)
        marker = "o" if len(values) == 1 else None
        axes.plot(steps, values, marker=marker, color=colour, label=name.replace("_", " "))
    axes.set(xlabel="steps ahead", ylabel="mean squared error (standardised)", ylim=(0, None))
    axes.legend(loc="best")
    ours, *others = (float(values.mean()) for values in errors.values())
    words = f"mse {ours:.3g}, the best naive answer {min(others):.3g}"
    headline(axes, words, inches=width - 0.7)
    return figure
