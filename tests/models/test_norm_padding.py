"""Padding may hold anything: every norm, and every option of every block, found by machine."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from spikescan import models
from spikescan.models.norm import NormKind, make_norm
from support import draw, leaves

T, D = 12, 8
LENGTHS = torch.tensor([T, 7, 1])
INSIDE = (torch.arange(T) < LENGTHS[:, None])[..., None]
NORMS = get_args(NormKind)
SIZES: dict[str, dict[str, Any]] = {
    "SpikingConv": {"inputs": 2, "features": D},
    "SpikingCNN": {"features": D, "image": (2, 1, D // 2)},
}


def options(block: type[nn.Module]) -> Iterator[dict[str, Any]]:
    """All combinations of the norms and of what can be switched, with and without dropout."""
    arguments = inspect.signature(block).parameters
    choices: dict[str, tuple[Any, ...]] = {
        name: (False, True) for name, a in arguments.items() if isinstance(a.default, bool)
    }
    if "norm" in arguments:
        choices["norm"] = NORMS
    if "dropout" in arguments:
        choices["dropout"] = (0.0, 0.5)
    for values in product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


BLOCKS = {
    name: item
    for name, item in vars(models).items()
    if name in models.__all__
    and inspect.isclass(item)
    and not inspect.isabstract(item)
    and (issubclass(item, models.Block | models.Encoder) or item is models.SpikingConv)
}
CASES = [
    pytest.param(partial(block, **SIZES.get(name, {"features": D}), **chosen), id=f"{name}-{i}")
    for name, block in BLOCKS.items()
    for i, chosen in enumerate(options(block))
]


def results(module: nn.Module, x: Tensor, inside: Tensor, padding: float) -> list[Tensor]:
    """Output, states, gradients of parameters and input, and what the module keeps."""
    torch.manual_seed(3)
    x = torch.where(inside, x, padding).requires_grad_()
    out, state = module(x, lengths=LENGTHS)
    # Every element counts, those of the padding too.
    (out * draw(*out.shape, seed=4)).sum().backward()
    grads = [p.grad for p in module.parameters() if p.grad is not None]
    assert x.grad is not None
    assert not torch.where(inside, 0, x.grad).any(), "a gradient in the padding"
    return [out.detach(), x.grad, *grads, *leaves(state), *module.buffers()]


@pytest.mark.parametrize("make", CASES)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_block_ignores_its_padding(make: partial[nn.Module], training: bool) -> None:
    images = make.func is models.SpikingConv
    x = draw(3, T, 2, 3, 4) if images else draw(3, T, D)
    inside = INSIDE[..., None, None] if images else INSIDE
    found = []
    for padding in (0.0, torch.nan, 1e30):
        torch.manual_seed(0)
        found.append(results(make().train(training), x, inside, padding))
    for got in found:
        for a, due in zip(got, found[0], strict=True):
            assert due.isfinite().all()
            assert torch.equal(a, due)


@pytest.mark.parametrize("kind", [kind for kind in NORMS if kind != "none"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_norm_ignores_its_padding(kind: NormKind, training: bool) -> None:
    residual = draw(3, T, D, seed=2)
    found = []
    for padding in (0.0, torch.nan, 1e30):
        norm = make_norm(kind, D).train(training)
        x = torch.where(INSIDE, draw(3, T, D), padding).requires_grad_()
        out = norm(x, LENGTHS, residual)
        (out * draw(*out.shape, seed=4)).sum().backward()
        assert x.grad is not None
        grads = [p.grad for p in norm.parameters()]
        found.append([out.detach(), x.grad, *grads, *norm.buffers()])
    for got in found:
        for a, due in zip(got, found[0], strict=True):
            assert due is not None
            assert due.isfinite().all()
            assert torch.equal(a, due)
