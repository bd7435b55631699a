"""Memory of a forward and backward pass beyond input, output and gradient."""

from __future__ import annotations

import json
import subprocess
import sys

import torch

from spikescan.bench.case import OURS, CannotMeasure, Case, Goal, Make, Runs, Shape
from spikescan.bench.cases import dsn, lif, prf

PASSES: dict[str, Make] = {
    "LIF": lif.ours,
    "PRF": prf.ours,
    "DSN": dsn.ours,
    "LIF as a plain loop": lif.loop,
}
"""What is measured; the loop is there to see the difference, and that the method does see it."""


def extra(name: str, shape: Shape) -> float:
    """Most memory that a pass held beyond its input and results, as a share of the input.

    The peak of the resident memory of a fresh process: it counts what torch, the kernels and their
    threads take alike, and nothing that an earlier measurement left behind.

    Raises:
        CannotMeasure: the process failed, or the system does not tell its memory.
    """
    command = [sys.executable, "-m", "spikescan.bench.resident", name]
    sizes = (shape.steps, shape.batch, shape.features, torch.get_num_threads())
    done = subprocess.run([*command, *map(str, sizes)], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise CannotMeasure(f"memory of {name}: {lines[-1]}")
    return float(json.loads(done.stdout)["extra"])


def facts(shape: Shape) -> dict[str, float]:
    return {name: extra(name, shape) for name in PASSES}


def check(shape: Shape, runs: Runs) -> str:
    """What is measured computes the right thing, at a short T."""
    short = Shape(min(512, shape.steps), 2, shape.features)
    checks = {"LIF": lif.check, "PRF": prf.check, "DSN": dsn.check}
    found = (f"{name}: {checks[name](short, {OURS: PASSES[name](short)})}" for name in checks)
    return f"T={short.steps}: " + "; ".join(found)


def _goal(name: str) -> Goal:
    return Goal(
        f"{name}: beyond input, output, gradient / input",
        lambda m: m[name],
        (name,),
        0.05,
        at_least=False,
        percent=True,
    )


CASES = (
    Case(
        "memory",
        "memory of a forward and backward pass",
        Shape(16384, 32, 128),
        Shape(8192, 16, 128),
        check,
        facts=facts,
        goals=tuple(_goal(name) for name in ("LIF", "PRF", "DSN")),
    ),
)
