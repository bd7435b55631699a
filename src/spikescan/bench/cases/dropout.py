"""Dropout of a stream of spikes against torch's."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from spikescan.bench.case import OURS, Case, Contender, Outputs, Run, Runs, Shape, Wrong, faster
from spikescan.bench.inputs import differentiate, inputs
from spikescan.ops import dropout

TORCH = "torch dropout"
RATE = 0.1
KEY = 0


def _pass(shape: Shape, *, torchs: bool = False) -> Run:
    """Forward and backward."""
    x, g = inputs(shape)
    x = x.clone().requires_grad_()
    key = torch.tensor([KEY])

    def run() -> Outputs:
        y: Tensor = F.dropout(x, RATE) if torchs else dropout(x, key, RATE)
        return differentiate(y, g, (x,))

    return run


def check(shape: Shape, runs: Runs) -> str:
    """Result and gradient as those of the reference, of which as many are left as should."""
    x, g = inputs(shape)
    y, gx = runs[OURS]()[:2]
    kept = float((y != 0).float().mean())
    key = torch.tensor([KEY])
    expected = [dropout(each, key, RATE, impl="reference") for each in (x, g)]
    same = torch.equal(y, expected[0]) and torch.equal(gx, expected[1])
    said = f"{kept:.2%} stay; {'the same' if same else 'not the same'} as the reference drops"
    spread = (RATE * (1 - RATE) / shape.elements) ** 0.5
    if not same or abs(kept - (1 - RATE)) > 6 * spread:
        raise Wrong(said)
    return said


CASES = (
    Case(
        "dropout",
        f"dropout of {RATE:.0%}, forward and backward",
        Shape(784, 128, 128),
        Shape(196, 16, 128),
        check,
        (
            Contender(OURS, _pass, setting="a hash of the key and the place"),
            Contender(TORCH, partial(_pass, torchs=True), setting="torch's generator"),
        ),
        goals=(faster(TORCH, required=5.0, stretch=10.0),),
    ),
)
