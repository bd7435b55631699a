"""Where a training step goes: seconds of each part of two blocks of a kind, beside the whole step.

Each part of a network is run by itself, forward and backward, on what it is given in the network,
and timed in seconds of the processor, the least of several; the rest of a step is sums,
activations, loss and optimizer. ``measure NAME`` writes one set of numbers to ``step_parts.json``
beside this file, ``draw`` makes ``docs/img/step-parts.svg`` of all sets, in their order there.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from spikescan.bench.case import Shape
from spikescan.bench.cases.network import BLOCKS, batch, network, training_step
from spikescan.memory import keep_memory
from spikescan.models.norm import BatchNorm
from spikescan.neurons import Neuron, ProbabilisticSSM, StateSpace
from spikescan.report.style import (
    BLUE,
    FAINT,
    MUTED,
    ORANGE,
    PURPLE,
    VERMILION,
    headline,
    styled,
    to_svg,
)

KEPT = Path(__file__).with_suffix(".json")
PICTURE = Path(__file__).parents[1] / "docs/img/step-parts.svg"
SHAPE = Shape(784, 32, 128)
REPEATS = 5
SHOWN = tuple(BLOCKS)[:4]
NAMES = dict(zip(SHOWN, ("SD-TCM", "SSM with DSN", "P-SpikeSSM", "S4D"), strict=True))
PARTS = {
    "products": BLUE,
    "normalisation": PURPLE,
    "state-space layer": ORANGE,
    "neurons": VERMILION,
    "rest": MUTED,
}


def kind(module: nn.Module) -> str | None:
    """The part that a module is, None for what only holds others."""
    if isinstance(module, nn.Linear):
        return "products"
    if isinstance(module, BatchNorm):
        return "normalisation"
    if isinstance(module, StateSpace):
        return "state-space layer"
    return "neurons" if isinstance(module, Neuron) else None


def least(run: Callable[[], object]) -> float:
    """Least seconds of the processor of a run, after one that warms up."""
    run()
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def alone(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> float:
    """Seconds of a module, forward and backward."""

    def leaf(value: object) -> object:
        if not (isinstance(value, Tensor) and value.is_floating_point()):
            return value
        # What is no parameter and asks for no gradient in the network, its input, asks for none.
        return value.detach().requires_grad_(value.requires_grad)

    def run() -> None:
        out = module(*map(leaf, arguments), **{k: leaf(v) for k, v in keywords.items()})
        y = out if isinstance(out, Tensor) else out[0]
        if not grads:
            grads.append(torch.randn_like(y))
        torch.autograd.backward(y, grads[0])
        module.zero_grad()

    grads: list[Tensor] = []
    return least(run)


def parts(name: str) -> dict[str, float]:
    """Seconds of each part of a step of one network, and of the whole step."""
    model = network(SHAPE, BLOCKS[name])
    calls: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]] = []
    hooks = [
        module.register_forward_pre_hook(
            lambda m, args, keywords: calls.append((m, args, keywords)), with_kwargs=True
        )
        for module in model.modules()
        if kind(module) is not None
    ]
    model(batch(SHAPE)[0])
    found = dict.fromkeys(PARTS, 0.0)
    for hook in hooks:
        hook.remove()
    for module, arguments, keywords in calls:
        seconds = alone(module, arguments, keywords)
        found[kind(module) or "rest"] += seconds
        if isinstance(module, ProbabilisticSSM):  # holds a state-space layer, a call of its own
            found["neurons"] -= alone(*next(c for c in calls if c[0] is module.ssm))
    whole = least(training_step(SHAPE, block=BLOCKS[name]))
    found["rest"] = whole - sum(found.values())
    return {**found, "whole": whole}


def measure(label: str) -> None:
    torch.set_num_threads(1)
    keep_memory()
    held = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    held[label] = {name: parts(name) for name in SHOWN}
    KEPT.write_text(json.dumps(held, indent=2) + "\n")


@styled
def draw() -> Figure:
    held = json.loads(KEPT.read_text())
    figure = Figure((8.4, 4.4), layout="constrained")
    axes = figure.subplots()
    rows: list[str] = []
    for name in SHOWN:
        for label, networks in held.items():
            base, left = networks[SHOWN[0]]["whole"], 0.0
            for part, colour in PARTS.items():
                share = max(0.0, networks[name][part]) / base  # parts can add up to above the whole
                axes.barh(len(rows), share, left=left, color=colour, height=0.7)
                if share >= 0.08:
                    text = f"{share:.2f}"
                    axes.text(
                        left + share / 2, len(rows), text, ha="center", va="center", color="white",
                        fontsize=7.5,
                    )  # fmt: skip
                left += share
            axes.text(left + 0.03, len(rows), f"{left:.2f}", va="center", fontsize=8.5)
            rows.append(f"{NAMES[name]}, {label}")
    for part, colour in PARTS.items():
        axes.barh(0, 0, color=colour, label=part)
    axes.axvline(1, color=FAINT, lw=1.2, zorder=0)
    axes.set_xlim(0, 1.08 * axes.get_xlim()[1])
    axes.set_yticks(range(len(rows)), rows)
    axes.invert_yaxis()
    axes.set_xlabel("time of a training step / that of the SD-TCM")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.14), ncols=len(PARTS))
    headline(axes, "Parts of a training step", f"two blocks; {SHAPE}; one thread", inches=7.0)
    return figure


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        measure(sys.argv[2])
    else:
        PICTURE.write_bytes(to_svg(draw()))
