"""Draw the pictures of the documentation: ``python docs/pictures.py [RUN]``.

One picture for each neuron: its answer to one impulse, or to constant inputs where it has no
memory, and what it does with a test input. With a finished run also the raster of the README. All
is computed in float64 and seeded, so that a second call writes the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.gridspec import GridSpec
from torch import Tensor

import spikescan
from spikescan.report.style import BLUE, MUTED, VERMILION, styled, to_png, to_svg

IMAGES = Path(__file__).with_name("img")


@dataclass(frozen=True)
class Trace:
    """What a neuron did with an input, (B, T, 1) each."""

    membrane: Tensor
    spikes: Tensor | None = None
    thresholds: Sequence[float | Tensor] = ()


@dataclass(frozen=True)
class Row:
    """One neuron of a picture.

    Args:
        title: written above the answer to the test input.
        run: the neuron, from input (B, T, 1) to its trace.
        size: largest value of the test input.
        impulse: size of the impulse, below what makes the neuron fire; None for a neuron without
            memory, which is shown by its rate at constant inputs.
        at: step of the impulse.
        label: name of the membrane.
    """

    title: str
    run: Callable[[Tensor], Trace]
    size: float = 1.0
    impulse: float | None = 1.0
    at: int = 5
    label: str = "membrane"


def rhythm_and_step() -> Tensor:
    """A rhythm that quickens from 0.005 to 0.06 cycles per step, then a step, (1, 300, 1)."""
    t = torch.arange(300, dtype=torch.float64)
    chirp = torch.sin(2 * torch.pi * (0.005 * t + 0.055 * t**2 / (2 * 200)))
    return torch.where(t < 200, chirp, torch.where(t < 260, 0.8, 0.0))[None, :, None]


@styled
def picture(rows: Sequence[Row]) -> Figure:
    """Draw one row of panels for each neuron."""
    figure = Figure((8, 2.4 * len(rows) + 0.35), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.06)  # pyright: ignore
    with torch.no_grad():
        for row, part in zip(
            rows, figure.subfigures(len(rows), 1, squeeze=False)[:, 0], strict=True
        ):
            grid = part.add_gridspec(2, 2, width_ratios=(1, 2.2), height_ratios=(1, 6), hspace=0.02)
            left = part.add_subplot(grid[:, 0])
            if row.impulse is None:
                rate(left, row)
            else:
                response(left, row, row.impulse)
            test(part, grid, row)
    lines = {
        label: line
        for axes in figure.axes
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(lines.values(), lines.keys(), loc="outside lower right", ncols=len(lines))
    return figure


def response(axes: Axes, row: Row, impulse: float) -> None:
    """The membrane after one impulse."""
    x = torch.zeros(1, 100, 1, dtype=torch.float64)
    x[0, row.at] = impulse
    axes.plot(row.run(x).membrane[0, :, 0], color=BLUE)
    axes.set(title="Answer to one impulse", xlabel="step", ylabel=row.label)


def rate(axes: Axes, row: Row) -> None:
    """The share of steps with a spike, for constant inputs."""
    values = torch.linspace(-0.5, 1.5, 101, dtype=torch.float64)
    spikes = row.run(values[:, None, None].expand(-1, 500, -1)).spikes
    assert spikes is not None
    axes.plot(values, spikes.mean((1, 2)), color=BLUE)
    axes.set(title="Rate at constant input", xlabel="input", ylabel="spikes per step")


def test(part: SubFigure, grid: GridSpec, row: Row) -> None:
    """The test input and the membrane, with the spikes above them."""
    x = row.size * rhythm_and_step()
    trace = row.run(x)
    axes = part.add_subplot(grid[:, 1] if trace.spikes is None else grid[1, 1])
    axes.plot(x[0, :, 0], color=MUTED, lw=0.9, label="input")
    axes.plot(trace.membrane[0, :, 0], color=BLUE, label=row.label)
    for threshold in trace.thresholds:
        line = torch.as_tensor(threshold).expand(x.shape)[0, :, 0]
        axes.plot(line, color=MUTED, ls=":", lw=1.1, label="threshold")
    axes.set(xlabel="step", xlim=(0, x.shape[1]))
    if trace.spikes is None:
        axes.set_title(row.title)
        return
    counts = trace.spikes[0, :, 0]
    fired = counts.nonzero()[:, 0]
    strip = part.add_subplot(grid[0, 1], sharex=axes)
    strip.vlines(fired, 0, counts[fired], color=VERMILION, lw=1)
    strip.plot([], [], "|", color=VERMILION, ms=8, label="spikes")
    strip.set(title=row.title, ylim=(0, max(1.0, float(counts.max()))))
    strip.set_axis_off()


def traced(neuron: Any, *thresholds: float) -> Callable[[Tensor], Trace]:
    """Run a neuron that gives its membrane by itself."""

    def run(x: Tensor) -> Trace:
        out = neuron.trace(x)
        return Trace(out.membrane, out.spikes, thresholds)

    return run


def lif(reset: Literal["soft", "hard", "none"]) -> Row:
    neuron = spikescan.LIF(1, tau=20.0, reset=reset).double()
    return Row(
        f"LIF, τ = 20 steps, reset {reset}",
        traced(neuron, float(neuron.threshold)),
        size=0.35,
        impulse=0.9,
    )


def prf() -> Row:
    neuron = spikescan.PRF(1, tau=10.0).double()
    neuron.log_delta.data.fill_(-1.5)
    neuron.log_theta.data.fill_(0.0)
    cycles = neuron.dynamics()["frequency"].item()
    return Row(
        f"PRF, {cycles:.3f} cycles per step", traced(neuron, float(neuron.threshold)), size=1.6
    )


def spatial() -> Row:
    neuron = spikescan.Spatial(1)
    return Row("Spatial", lambda x: Trace(x, neuron(x)[0], (neuron.threshold,)), impulse=None)


def dsn() -> Row:
    neuron = spikescan.DSN(1, kernel_size=1, alpha_start=0.9).double()
    neuron.weight.data.fill_(-1.5)
    run = traced(neuron, 0.5, 1.5, 2.5, 3.5)
    return Row("DSN, whose decay falls with its input", run, size=4.0, impulse=4.0)


def alif() -> Row:
    neuron = spikescan.ALIF(1, tau=20.0, strength=0.3).double()

    def run(x: Tensor) -> Trace:
        spikes, membrane, thresholds = [], [], []
        state = spikescan.ALIFState(*torch.zeros(2, 1, 1, dtype=x.dtype))
        for x_t in x.unbind(1):
            membrane.append(neuron.beta * state.v + x_t)
            thresholds.append(neuron.threshold + neuron.strength * state.a)
            s, state = neuron.step(x_t, state)
            spikes.append(s)
        over_time = partial(torch.stack, dim=1)
        return Trace(over_time(membrane), over_time(spikes), (over_time(thresholds),))

    return Row("ALIF, τ = 20 steps, strength 0.3", run, size=0.35, impulse=0.9)


def probabilistic_ssm() -> Row:
    ssm = partial(spikescan.DPLR, dt_min=0.02, dt_max=0.02)
    neuron = spikescan.ProbabilisticSSM(1, ssm=ssm).double()
    # The weights of an untrained neuron are random: scale what it does to probabilities.
    neuron.gain.data.div_(neuron.ssm(rhythm_and_step())[0].abs().max())

    def run(x: Tensor) -> Trace:
        v = neuron.gain * neuron.ssm(x)[0] + neuron.bias
        return Trace(v, neuron(x)[0])

    return Row("ProbabilisticSSM, untrained, Δ = 0.02", run)


def spike_sampler() -> Row:
    neuron = spikescan.SpikeSampler(1)

    def run(x: Tensor) -> Trace:
        return Trace(x.clamp(0, 1), neuron(x)[0])

    return Row("SpikeSampler", run, impulse=None, label="probability")


def psn() -> Row:
    def run(x: Tensor) -> Trace:
        neuron = spikescan.PSN(1, steps=x.shape[1]).double()
        t = torch.arange(x.shape[1])
        neuron.weight.data = torch.exp(-(t[:, None] - t).abs().double() / 10) / 10
        threshold = neuron.threshold[:, None]
        return Trace(neuron.weight @ x, neuron(x)[0], (threshold,))

    return Row("PSN, weights set to a two-sided mean", run, at=50)


def sliding_psn() -> Row:
    neuron = spikescan.SlidingPSN(1).double()

    def run(x: Tensor) -> Trace:
        padded = torch.nn.functional.pad(x, (0, 0, neuron.order - 1, 0))
        membrane = padded.unfold(1, neuron.order, 1) @ neuron.weight
        return Trace(membrane, neuron(x)[0], (neuron.threshold,))

    return Row("SlidingPSN, start values", run, impulse=0.9)


def state_space(make: type[spikescan.DPLR | spikescan.S4D]) -> Row:
    layer = make(1, dt_min=0.02, dt_max=0.02).double()
    title = f"{make.__name__}, untrained, Δ = 0.02: real outputs, no spikes"
    return Row(title, lambda x: Trace(layer(x)[0]), label="output")


PICTURES: dict[str, Callable[[], Sequence[Row]]] = {
    "alif": lambda: [alif()],
    "dplr": lambda: [state_space(spikescan.DPLR)],
    "dsn": lambda: [dsn()],
    "lif": lambda: [lif("soft"), lif("hard"), lif("none")],
    "prf": lambda: [prf()],
    "probabilisticssm": lambda: [probabilistic_ssm()],
    "psn": lambda: [psn()],
    "s4d": lambda: [state_space(spikescan.S4D)],
    "slidingpsn": lambda: [sliding_psn()],
    "spatial": lambda: [spatial()],
    "spikesampler": lambda: [spike_sampler()],
}
"""The neurons of each picture; a neuron's picture and its page have its name in small letters."""


def draw(name: str) -> bytes:
    """A neuron's picture as SVG."""
    # Each starts anew, so that no picture changes when another joins.
    torch.manual_seed(0)
    return to_svg(picture(PICTURES[name]()))


def raster_of(run: Path) -> bytes:
    """One test sequence on its way through a run's best network, as PNG."""
    from lightning.pytorch.plugins import Precision

    from spikescan.report import raster
    from spikescan.train import RunFolder, read_recipe
    from spikescan.train.record import raster as record

    folder = RunFolder(run)
    task, data, _, _ = read_recipe(folder.config)
    task.load_state_dict(torch.load(folder.best, weights_only=True)["state_dict"])
    data.setup("test")
    return to_png(raster(record(task.eval(), data, Precision())), 130)


if __name__ == "__main__":
    for name in PICTURES:
        (IMAGES / f"{name}.svg").write_bytes(draw(name))
    if len(sys.argv) > 1:
        (IMAGES / "raster.png").write_bytes(raster_of(Path(sys.argv[1])))
