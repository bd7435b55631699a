"""Draw the pictures of the documentation: ``python docs/pictures.py [RUN]``.

For each neuron, its answer to one impulse and its membrane and spikes on a test input; with a
finished run, the raster of one test sequence for the README.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

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


def draw(name: str, title: str, neuron: spikescan.Neuron, gain: float) -> None:
    """One picture a neuron: impulse response on the left, test input on the right."""
    impulse = torch.zeros(1, 100, 1)
    impulse[0, 5] = 0.9 * gain if gain > 1 else 0.9
    trace: Callable[[Tensor], object] = neuron.trace  # type: ignore[assignment]
    answer = trace(impulse)
    x = test_input() * gain
    out = trace(x)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 2.6), width_ratios=(1, 2), layout="constrained"
    )
    left.plot(answer.membrane[0, :, 0].detach(), color=BLUE)  # type: ignore[attr-defined]
    left.set(title="answer to one impulse", xlabel="step", ylabel="membrane")
    right.plot(x[0, :, 0], color=GREY, lw=0.8, label="input")
    right.plot(out.membrane[0, :, 0].detach(), color=BLUE, label="membrane")  # type: ignore[attr-defined]
    right.axhline(neuron.threshold, color=GREY, ls=":", lw=1)  # type: ignore[arg-type]
    fired = out.spikes[0, :, 0].nonzero()[:, 0]  # type: ignore[attr-defined]
    top = float(torch.maximum(x.max(), out.membrane.detach().max())) * 1.15  # type: ignore[attr-defined]
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
        draw(f"lif_{reset}", f"LIF, tau = 20 steps, reset = {reset}", lif, 0.35)
    prf = spikescan.PRF(1, tau=10.0)
    with torch.no_grad():
        prf.log_delta.fill_(-1.5)
        prf.log_theta.fill_(0.0)
    per_step = prf.dynamics()["frequency"].item()
    draw("prf", f"PRF, {per_step:.3f} cycles per step", prf, 1.6)
    dsn = spikescan.DSN(1, kernel_size=1)
    with torch.no_grad():
        dsn.weight.fill_(-1.5)
    dsn.threshold = 0.5  # type: ignore[assignment]
    draw("dsn", "DSN whose decay falls with its input", dsn, 4.0)


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
