"""Cost against T, from a thousand to a million steps, for each neuron and its peers."""

from __future__ import annotations

from dataclasses import replace

from spikescan.bench.case import OURS, Case, Contender, Runs, Shape
from spikescan.bench.cases import dsn, lif, prf

NEURONS: dict[str, tuple[Contender, ...]] = {
    "LIF": (lif.NEURON, *lif.JELLY, lif.LEAKY, lif.LOOP),
    "PRF": (prf.NEURON, *prf.FORMS, prf.LOOP),
    "DSN": (dsn.NEURON, dsn.JELLY_PSN, dsn.LOOP),
}
_CHECKS = {"LIF": lif.check, "PRF": prf.check, "DSN": dsn.check}


def label(neuron: str, contender: str) -> str:
    return f"{neuron}: {contender}"


def check(shape: Shape, runs: Runs) -> str:
    """Ours against the loop, at each T short enough for a loop that is compared."""
    if shape.steps > 4096:
        return ""
    said = (f"{n}: {c(shape, {OURS: runs[label(n, OURS)]})}" for n, c in _CHECKS.items())
    return f"T={shape.steps:,}: " + "; ".join(said)


CASES = (
    Case(
        "cost-against-t",
        "cost against T, each neuron and its peers",
        Shape(1024, 4, 64),
        Shape(64, 1, 64),
        check,
        tuple(
            replace(contender, name=label(neuron, contender.name), at_most=3)
            for neuron, contenders in NEURONS.items()
            for contender in contenders
        ),
        sweep=tuple(4**k for k in range(6)),
    ),
)
