"""A training step of one and the same network here and in the libraries that run it step by step.

Linear, LIF, Linear, LIF, mean over the steps, Linear: the network that all of them can say, with
the same start, the same soft reset and the same surrogate.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikescan import LIF
from spikescan.bench.case import OURS, Case, Contender, Outputs, Run, Runs, Shape, Wrong, faster
from spikescan.bench.cases.network import CLASSES, batch
from spikescan.bench.peers import snntorch, spikingjelly, why_missing
from spikescan.models import SpikeLinear, SteadyLinear

NODE, LEAKY = "SpikingJelly", "snnTorch"
STEPS = 20
"""Training steps after which losses are compared."""
TOLERANCE = 1e-3
"""Largest difference of two losses: sums in another order move single spikes across a threshold."""

Forward = Callable[[Tensor], Tensor]
"""From sequences (B, T, 1) to logits."""


def layers(width: int) -> nn.ModuleDict:
    """The three products, which every contender starts from."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        made = {"enter": nn.Linear(1, width), "mix": nn.Linear(width, width)}
        made["leave"] = nn.Linear(width, CLASSES)
    with torch.no_grad():  # currents at which about a fifth of the neurons fire
        made["enter"].weight.mul_(2)
        made["mix"].weight.mul_(4)
    return nn.ModuleDict(made)


def ours(width: int) -> tuple[nn.ModuleDict, Forward]:
    parts = layers(width)
    for name, own in {"enter": SteadyLinear(1, width), "mix": SpikeLinear(width, width)}.items():
        own.load_state_dict(parts[name].state_dict())
        parts[name] = own
    first, second = LIF(width, tau=2.0), LIF(width, tau=2.0)

    def forward(x: Tensor) -> Tensor:
        s, _ = first(parts["enter"](x))
        s, _ = second(parts["mix"](s))
        return parts["leave"](s.mean(1))

    return parts, forward


def stepwise(make: Callable[[], Callable[[Tensor], Tensor]]) -> Callable[[int], tuple]:
    """The same with a peer's neuron, which takes (T, B, D)."""

    def build(width: int) -> tuple[nn.ModuleDict, Forward]:
        parts, first, second = layers(width), make(), make()

        def forward(x: Tensor) -> Tensor:
            s = first(parts["enter"](x.transpose(0, 1)))
            return parts["leave"](second(parts["mix"](s)).mean(0))

        return parts, forward

    return build


NETWORKS = {
    OURS: ours,
    NODE: stepwise(spikingjelly.lif_layer),
    LEAKY: stepwise(snntorch.leaky_layer),
}


def losses(name: str, shape: Shape, *, lr: float, steps: int) -> list[float]:
    """Loss of each of some training steps on one batch."""
    step = _step(name, shape, lr)
    return [float(step()) for _ in range(steps)]


def _step(name: str, shape: Shape, lr: float) -> Callable[[], Tensor]:
    parts, forward = NETWORKS[name](shape.features)
    optimizer = torch.optim.AdamW(parts.parameters(), lr=lr)
    x, labels = batch(shape)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(x), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _run(name: str) -> Callable[[Shape], Run]:
    def make(shape: Shape) -> Run:
        step = _step(name, shape, lr=0.0)

        def run() -> Outputs:
            return (step(),)

        return run

    return make


def check(shape: Shape, runs: Runs) -> str:
    """The first loss of all, and twenty losses in training where the reset is the same."""
    small = Shape(min(shape.steps, 196), 16, shape.features)
    mine = losses(OURS, small, lr=1e-3, steps=STEPS)
    if not mine[-1] < mine[0]:
        raise Wrong(f"the loss does not fall: {mine[0]:.4f} to {mine[-1]:.4f} in {STEPS} steps")
    said = f"loss {mine[0]:.4f} to {mine[-1]:.4f} in {STEPS} steps"
    if NODE in runs and why_missing("spikingjelly") is None:
        theirs = losses(NODE, small, lr=1e-3, steps=STEPS)
        apart = max(abs(a - b) for a, b in zip(mine, theirs, strict=True))
        said += f", those of SpikingJelly within {apart:.1e}"
        if not apart <= TOLERANCE:
            raise Wrong(f"{said}, more than {TOLERANCE:.0e}")
    return said


CASES = (
    Case(
        "training-peers",
        "training step of one LIF network here and in libraries that run it step by step",
        Shape(784, 64, 128),
        Shape(98, 8, 128),
        check,
        (
            Contender(
                OURS,
                _run(OURS),
                setting="two layers of LIF between the layers of a Classifier; forward, loss, "
                "backward, AdamW",
            ),
            Contender(
                NODE,
                _run(NODE),
                peer="spikingjelly",
                setting="LIFNode, multi-step, soft reset, detached, input not decayed",
                at_most=3,
            ),
            Contender(
                LEAKY,
                _run(LEAKY),
                peer="snntorch",
                setting="Leaky, one call a step; its reset comes one step late",
                at_most=3,
            ),
        ),
        goals=(
            faster(NODE, required=10),
            faster(LEAKY, required=10),
        ),
    ),
)
