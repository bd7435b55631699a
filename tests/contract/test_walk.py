"""The list of a network's parts is the network: run part by part, it gives the same output."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from cases import CASES, SO_FAR, Case
from torch import Tensor, nn

from spikescan import LIF
from spikescan.models import SDTCM, Classifier, walk
from spikescan.models.walk import (
    INPUT,
    Affine,
    Attention,
    Dense,
    Gated,
    Join,
    Map,
    Neurons,
    Norm,
    Part,
    Pool,
    Scan,
    Sum,
    Synapse,
    View,
)
from support import draw, give_statistics
from tolerance import REGROUPED, assert_close

D, T = 6, 37
WALKED = [case for case in (*CASES, *SO_FAR) if hasattr(case.make(D), "parts")]


def rotated(z: Tensor) -> Tensor:
    half = z.shape[-1] // 2
    rates = 10_000.0 ** (-torch.arange(half, dtype=z.dtype) / half)
    turn = torch.polar(torch.ones((), dtype=z.dtype), torch.arange(T)[:, None] * rates)
    y = torch.complex(z[..., :half], z[..., half:]) * turn
    return torch.cat((y.real, y.imag), -1)


def attention(part: Attention, x: Tensor) -> Tensor:
    """As in the books: all scores at once."""
    q, k, v = (z.unflatten(-1, (part.heads, -1)).transpose(1, 2) for z in x.chunk(3, -1))
    past = torch.arange(T)[:, None] - torch.arange(T)
    if part.kind == "sums":
        y = (q @ k.mT).masked_fill(past < 0, 0) @ v / torch.arange(1, T + 1)[:, None]
    else:
        assert part.window is not None
        scores = rotated(q) @ rotated(k).mT / q.shape[-1] ** 0.5
        hidden = (past < 0) | (past > part.window)
        y = scores.masked_fill(hidden, -torch.inf).softmax(-1) @ v
    return y.transpose(1, 2).flatten(2)


def on_pixels(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A function of sequences (B, T, D), of images (B, T, D, H, W) pixel by pixel."""
    if x.ndim == 3:
        return run(x)
    pixels = x.permute(0, 3, 4, 1, 2)
    return run(pixels.flatten(0, 2)).unflatten(0, pixels.shape[:3]).permute(0, 3, 4, 1, 2)


def value(part: Part, xs: list[Tensor]) -> Tensor:
    match part:
        case Neurons(backwards=True):
            return part.module(xs[0].flip(1))[0].flip(1)
        case Neurons():
            return on_pixels(lambda x: part.module(x)[0], xs[0])
        case Norm():
            return on_pixels(part.module, xs[0])
        case Dense(module=nn.Conv2d()) | Synapse(module=nn.Conv2d()):
            return part.module(xs[0].flatten(0, 1)).unflatten(0, xs[0].shape[:2])
        case Dense() | Synapse():
            return part.module(xs[0])
        case View(image=None):
            return xs[0].flatten(2)
        case View(image=image):
            assert image is not None
            return xs[0].unflatten(2, image)
        case Scan():
            return part.module(xs[0], skip=part.skip)[0]
        case Gated():
            return part.module(xs[0], torch.zeros_like(xs[0][:, 0]))
        case Attention():
            return attention(part, xs[0])
        case Affine():
            return part.gain * xs[0] + part.bias
        case Map(function="gelu"):
            return F.gelu(xs[0])
        case Map(function="glu"):
            return F.glu(xs[0])
        case Sum():
            return torch.stack(xs).sum(0)
        case Join():
            return torch.cat(xs, -1)
        case Pool(over="mean"):
            return xs[0].mean(1)
        case Pool(over="last"):
            return xs[0][:, -1]
        case Pool(over="window"):
            return xs[0][:, -part.steps :].flatten(1)
    raise AssertionError(part)


@pytest.mark.parametrize("case", WALKED, ids=lambda c: c.name)
@torch.no_grad()
def test_parts_one_after_the_other_are_the_whole(case: Case) -> None:
    torch.manual_seed(0)
    module = case.make(D).double().eval()
    give_statistics(module)
    x = draw(2, T, D, dtype=torch.float64)
    if case.random:
        # Random numbers are taken in an order of the block's own; probabilities are not random.
        for m in module.modules():
            if hasattr(m, "evaluation"):
                m.evaluation = "mean"
    values = {INPUT: x}
    for part in walk(module):
        assert part.name not in values, "names are unique, and read after they are made"
        values[part.name] = value(part, [values[name] for name in part.inputs])
    assert_close(values[walk(module)[-1].name], module(x)[0], REGROUPED)


@pytest.mark.parametrize("case", WALKED, ids=lambda c: c.name)
def test_parts_hold_every_parameter(case: Case) -> None:
    module = case.make(D)
    held: set[int] = set()
    for part in walk(module):
        inner = getattr(part, "module", None)
        held |= {id(p) for p in (inner.parameters() if inner is not None else ())}
        held |= {id(t) for t in vars(part).values() if isinstance(t, Tensor)}
        if inner is not None:
            assert dict(module.named_modules())[part.name] is inner
    missing = [name for name, p in module.named_parameters() if id(p) not in held]
    assert missing == []


def test_a_readout_is_walked_too() -> None:
    model = Classifier(partial(SDTCM, neuron=LIF, norm="none"), features=8, depth=1, readout=LIF)
    kinds = [type(part).__name__ for part in walk(model)]
    middle = ["Neurons", "Synapse", "Sum", "Neurons", "Synapse", "Sum"]
    assert kinds == ["Dense", *middle, "Neurons", "Pool", "Dense"]
