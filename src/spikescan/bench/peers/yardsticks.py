"""What the machine can do at all: the copies that memory-bound kernels are held against."""

from __future__ import annotations

import torch

from spikescan.bench.case import COPY, YARDSTICK, Contender, Outputs, Run, Shape
from spikescan.bench.inputs import inputs

COPIED_BYTES = 8
"""Bytes an element that a copy in float32 moves: one read, one write."""


def clone_and_add(shape: Shape) -> Run:
    x, g = inputs(shape)

    def run() -> Outputs:
        return x.clone(), torch.add(g, x)

    return run


def copy(shape: Shape) -> Run:
    x, _ = inputs(shape)
    kept = torch.empty_like(x)

    def run() -> Outputs:
        return (kept.copy_(x),)

    return run


YARDSTICKS = (
    Contender(
        YARDSTICK, clone_and_add, setting="PF: x.clone() and torch.add(g, x) on fresh tensors"
    ),
    Contender(COPY, copy, setting="between two kept tensors: the copy rate of the floor"),
)
