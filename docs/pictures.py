"""Draw the pictures of the documentation: ``python docs/pictures.py [RUN]``.

For each neuron, its answer to one impulse and its membrane and spikes on a test input; with a
finished run, the raster of one test sequence for the README.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor

import spikescan
from spikescan.report import raster

IMAGES = Path(__file__).with_name("img")
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#777777"
STEPS = 300


def test_input() -> Tensor:
    """A rhythm that quickens from 0.005 to 0.06 cycles per step, then a step, (1, T, 1)."""
    t = torch.arange(STEPS, dtype=torch.float64)
    chirp = torch.sin(2 * torch.pi * (0.005 * t + 0.055 * t**2 / (2 * 200)))
    return torch.where(t < 200, chirp, torch.where(t < 260, 0.8, 0.0)).float()[None, :, None]


class Trace(NamedTuple):
    """What a neuron did with an input."""

    spikes: Tensor
    membrane: Tensor


def draw(
    name: str,
    title: str,
    trace: Callable[[Tensor], Any],
    threshold: float | None,
    gain: float,
    membrane: str = "membrane",
) -> None:
    """One picture a neuron: impulse response on the left, test input on the right."""
    impulse = torch.zeros(1, 100, 1)
    impulse[0, 5] = 0.9 * gain if gain > 1 else 0.9
    answer = trace(impulse)
    x = test_input() * gain
    out = trace(x)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 2.6), width_ratios=(1, 2), layout="constrained"
    )
    left.plot(answer.membrane[0, :, 0].detach(), color=BLUE)
    left.set(title="answer to one impulse", xlabel="step", ylabel=membrane)
    right.plot(x[0, :, 0], color=GREY, lw=0.8, label="input")
    right.plot(out.membrane[0, :, 0].detach(), color=BLUE, label=membrane)
    if threshold is not None:
        right.axhline(threshold, color=GREY, ls=":", lw=1)
    fired = out.spikes[0, :, 0].nonzero()[:, 0]
    top = float(torch.maximum(x.max(), out.membrane.detach().max())) * 1.15
    right.plot(fired, [top] * len(fired), "|", color=ORANGE, ms=8, label="spikes")
    right.set(title=title, xlabel="step")
    right.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=3, fontsize=7, frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def neurons() -> None:
    torch.manual_seed(0)
    matplotlib.rcParams.update({"font.size": 8, "svg.hashsalt": "spikescan"})
    for reset in ("soft", "hard", "none"):
        lif = spikescan.LIF(1, tau=20.0, reset=reset)
        draw(
            f"lif_{reset}", f"LIF, tau = 20 steps, reset = {reset}", lif.trace, lif.threshold, 0.35
        )
    prf = spikescan.PRF(1, tau=10.0)
    with torch.no_grad():
        prf.log_delta.fill_(-1.5)
        prf.log_theta.fill_(0.0)
    per_step = prf.dynamics()["frequency"].item()
    draw("prf", f"PRF, {per_step:.3f} cycles per step", prf.trace, prf.threshold, 1.6)
    dsn = spikescan.DSN(1, kernel_size=1)
    with torch.no_grad():
        dsn.weight.fill_(-1.5)
    draw("dsn", "DSN whose decay falls with its input", dsn.trace, 0.5, 4.0)
    spatial = spikescan.Spatial(1)
    draw("spatial", "Spatial", lambda x: Trace(spatial(x)[0], x), spatial.threshold, 0.9)
    alif = spikescan.ALIF(1, tau=20.0, strength=0.3)

    def adapting(x: Tensor) -> Trace:
        spikes, membrane, state = [], [], None
        for x_t in x.unbind(1):
            s, state = alif.step(x_t, state)
            spikes.append(s)
            membrane.append(state.v)
        return Trace(torch.stack(spikes, 1), torch.stack(membrane, 1))

    draw("alif", "ALIF, whose threshold rises with its spikes", adapting, None, 0.35)
    random = spikescan.ProbabilisticSSM(1, ssm=partial(spikescan.S4D, dt_min=0.1, dt_max=0.1))

    def probability(x: Tensor) -> Trace:
        with torch.no_grad():
            y, _ = random.ssm(x)
            # Scaled so that one of 64 untrained modes' sums is a probability.
            peak = random.ssm(test_input())[0].abs().max()
            random.gain.fill_(0.9 / float(peak))
            return Trace(random(x)[0], (random.gain * y + random.bias).clamp(0, 1))

    draw("probabilistic_ssm", "ProbabilisticSSM, untrained", probability, None, 1.0, "probability")


def readme(run: Path) -> None:
    from spikescan.cli import _build, _parser
    from spikescan.train import RunFolder
    from spikescan.train.record import raster as record

    folder = RunFolder(run)
    parser = _parser(folder.config, "pictures")
    task, data = _build(parser, parser.parse_args([]))
    task.load_state_dict(torch.load(folder.best, weights_only=True)["state_dict"])
    data.setup("test")
    figure = raster(record(task.model, data))
    figure.savefig(IMAGES / "raster.png", dpi=130)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    neurons()
    if len(sys.argv) > 1:
        readme(Path(sys.argv[1]))
