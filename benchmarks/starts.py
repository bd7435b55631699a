"""From which values should neurons start? Firing on normalised input, and what is learned from it.

``python benchmarks/starts.py OUT.json`` measures the starts below, keeps the figures as they come
and prints them as a table; a second call goes on where the first stopped. Ten minutes on one core.
A channel is silent if it has no spike in the batch. Accuracies are those of test data after two
epochs of digits, and after six of telling the rhythm of twelve noisy sine waves.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

from spikescan import ALIF, DSN, LIF, PRF, SlidingPSN, Spatial
from spikescan.data import Digits
from spikescan.models import SDTCM, Block, Classifier, SpikingSSM, parameter_groups
from spikescan.neurons import Neuron

Make = Callable[[int], Neuron]
Sequences = tuple[Tensor, Tensor, Tensor, Tensor]
"""Training input (N, T, C) and classes (N,), and those of the test."""

LONGER = partial(PRF, theta_max=2 * math.pi, dt_min=0.1, dt_max=1.0)
STARTS: dict[str, Make] = {
    "PRF, the paper's: Δ 0.001 to 0.1, τ 2": PRF.paper,
    "PRF, Δ 0.01 to 1, τ 6": partial(LONGER, dt_min=0.01, tau=6.0),
    "PRF, Δ 0.1 to 1, τ 2": partial(LONGER, tau=2.0),
    "PRF, Δ 0.1 to 1, τ 6": partial(LONGER, tau=6.0),
    "PRF, Δ 0.1 to 1, τ 10": partial(LONGER, tau=10.0),
    "PRF, Δ 0.1 to 1, τ 30": partial(LONGER, tau=30.0),
    "PRF, Δ 0.1 to 1, τ 30, θ to π/4": partial(LONGER, tau=30.0, theta_max=math.pi / 4),
    "PRF, Δ 0.1 to 1, τ 30, θ to π/2": partial(LONGER, tau=30.0, theta_max=math.pi / 2),
    "PRF, Δ 0.1 to 1, τ 30, θ to π": partial(LONGER, tau=30.0, theta_max=math.pi),
    "PRF, Δ 0.03 to 1, τ 30, θ to π": partial(
        PRF, dt_min=0.03, dt_max=1.0, tau=30.0, theta_max=math.pi
    ),
    "DSN, without a bias: decay 1/16": DSN.paper,
    "DSN, decay 0.5": partial(DSN, alpha_start=0.5),
    "DSN, decay 0.8": partial(DSN, alpha_start=0.8),
    "DSN, decay 0.9": partial(DSN, alpha_start=0.9),
    "LIF, τ 2": partial(LIF, tau=2.0),
    "LIF, τ 10": partial(LIF, tau=10.0),
    "ALIF": ALIF,
    "SlidingPSN": SlidingPSN,
    "Spatial": Spatial,
}
SLOW = ("ALIF", "SlidingPSN")
"""Loops in Python, of which only the firing is measured."""
SCALES = (1.0, 0.5, 0.3)
SEEDS = (0,)


@torch.no_grad()
def firing(make: Make, scale: float) -> dict[str, float]:
    """Share of steps with a spike, and of channels with any, for ``scale`` times normal input."""
    rates = list[Tensor]()
    for seed in range(4):
        torch.manual_seed(seed)
        neuron = make(64)
        spikes, _ = neuron(scale * torch.randn(16, 512, 64))
        rates.append((spikes != 0).float().mean((0, 1)))
    rate = torch.cat(rates)
    return {"rate": float(rate.mean()), "silent": float((rate == 0).float().mean())}


def digits() -> Sequences:
    parts = Digits().load()
    return (parts.train.x, parts.train.y, parts.test.x, parts.test.y)  # type: ignore[union-attr]


def sines() -> Sequences:
    """Twelve channels of one rhythm out of four, of random phases, in as much noise."""

    def part(count: int, seed: int) -> tuple[Tensor, Tensor]:
        drawn = torch.Generator().manual_seed(seed)
        y = torch.arange(count) % 4
        rhythm = torch.logspace(-1.5, -0.6, 4)[y, None, None] * torch.arange(128.0)[:, None]
        phase = torch.rand(count, 1, 12, generator=drawn)
        noise = torch.randn(count, 128, 12, generator=drawn)
        x = (2 * math.pi * (rhythm + phase)).sin() + noise
        return (x - x.mean((0, 1))) / x.std((0, 1)), y

    return *part(384, 1), *part(256, 2)


def learned(block: Callable[[int], Block], data: Sequences, epochs: int, seed: int) -> float:
    """Accuracy on test data after ``epochs`` of training."""
    x, y, test_x, test_y = data
    torch.manual_seed(seed)
    classes = int(y.max()) + 1
    model = Classifier(block, inputs=x.shape[2], classes=classes, features=64, depth=2)
    groups = parameter_groups(model, lr=0.005, neuron_lr=0.001, weight_decay=0.01)
    optimizer = torch.optim.AdamW(groups)
    batches = [i for _ in range(epochs) for i in torch.randperm(len(x)).split(32) if len(i) == 32]
    rise = len(batches) / 10
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda k: min((k + 1) / rise, 0.5 + 0.5 * math.cos(math.pi * k / len(batches))),
    )
    for i in batches:
        loss = F.cross_entropy(model(x[i])[0], y[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        right = [
            (model(a)[0].argmax(-1) == b).sum()
            for a, b in zip(test_x.split(64), test_y.split(64), strict=True)
        ]
    return float(sum(right) / len(test_y))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    kept: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    trainings: dict[str, tuple[Callable[..., Block], Sequences, int]] = {
        "digits, SD-TCM": (SDTCM, digits(), 2),
        "sines, SD-TCM": (SDTCM, sines(), 6),
        "sines, spiking SSM": (SpikingSSM, sines(), 6),
    }
    table = Table("start", *(f"{scale} x normal" for scale in SCALES), *trainings)

    def measure(name: str, what: str, figure: Callable[[], Any]) -> Any:
        figures = kept.setdefault(name, {})
        if what not in figures:
            figures[what] = figure()
            out.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
        return figures[what]

    for name, make in STARTS.items():
        cells = list[str]()
        for scale in SCALES:
            found = measure(name, f"{scale} x normal", partial(firing, make, scale))
            cells.append(f"{found['rate']:.1%} ({found['silent']:.0%} silent)")
        for task, (block, data, epochs) in trainings.items():
            if name not in SLOW:
                run = partial(learned, partial(block, neuron=make), data, epochs)
                right = [measure(name, f"{task}, seed {s}", partial(run, s)) for s in SEEDS]
                cells.append(f"{statistics.mean(right):.1%}")
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
