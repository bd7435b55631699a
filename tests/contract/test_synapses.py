"""Every synapse is a module that is called: hooks, pruning and replacement reach it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import CASES, SO_FAR, Case
from torch import Tensor, nn
from torch.nn.utils import prune

from spikescan.models import SpikeLinear, walk
from spikescan.models.walk import Dense, Neurons, Synapse
from support import draw

D, T = 6, 37
WITH_SYNAPSES = [
    case
    for case in (*CASES, *SO_FAR)
    if any(isinstance(m, nn.Linear | nn.Conv2d | nn.Embedding) for m in case.make(D).modules())
]


def synapses(module: nn.Module) -> dict[str, Any]:
    kinds = (nn.Linear, nn.Conv2d, nn.Embedding)
    return {name: m for name, m in module.named_modules() if isinstance(m, kinds)}


def run(module: nn.Module, x: Tensor) -> Tensor:
    torch.manual_seed(3)
    return module(x)[0]


def louder(module: nn.Module) -> None:
    """Weights at which the layers fire, so that what is behind a synapse hears it."""
    with torch.no_grad():
        for m in module.modules():
            if isinstance(m, nn.Linear | nn.Conv2d | nn.LayerNorm | nn.BatchNorm1d):
                m.weight.mul_(5.0)
            if isinstance(m, nn.Linear) and m.bias is not None:
                m.bias.add_(0.3)


class Adapted(nn.Module):
    """What an adapter does: the layer that it wraps, and something of its own."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x)
        # Channels of a convolution are in the middle.
        y = y.movedim(1, -1) if y.ndim == 4 else y
        y = y * torch.linspace(-2, 3, y.shape[-1]) + 0.5
        return y.movedim(-1, 1) if y.ndim == 4 else y


@pytest.mark.parametrize("case", WITH_SYNAPSES, ids=lambda c: c.name)
@torch.no_grad()
def test_hooks_pruning_and_replacement_reach_every_synapse(case: Case) -> None:
    torch.manual_seed(0)
    module = case.make(D).eval()
    louder(module)
    x = 2 * draw(2, T, D)
    expected = run(module, x)
    for name, synapse in synapses(module).items():
        called = []
        handle = synapse.register_forward_hook(lambda *_, called=called: called.append(True))
        assert torch.equal(run(module, x), expected)
        assert called, name
        handle.remove()

        prune.random_unstructured(synapse, "weight", amount=0.9)
        assert not torch.equal(run(module, x), expected), name
        synapse.weight_mask.fill_(1)
        prune.remove(synapse, "weight")
        assert torch.equal(run(module, x), expected), name

        parent, _, attribute = name.rpartition(".")
        holder = module.get_submodule(parent)
        setattr(holder, attribute, Adapted(synapse))
        assert not torch.equal(run(module, x), expected), name
        setattr(holder, attribute, synapse)


def test_a_scaled_layer_is_one_whose_weight_is_scaled() -> None:
    torch.manual_seed(0)
    layer, plain = SpikeLinear(D, 4, scaled=True), SpikeLinear(D, 4)
    with torch.no_grad():
        layer.log_scale.fill_(0.7)  # type: ignore[union-attr]
        plain.weight.copy_(layer.weight * torch.tensor(0.7).exp())
        plain.bias.copy_(layer.bias)
    s = (draw(3, T, D) > 0).float()
    assert torch.equal(layer(s), plain(s))
    layer(s).sum().backward()
    assert layer.log_scale is not None
    assert layer.log_scale.grad is not None
    assert layer.log_scale.grad != 0


def test_spikes_meet_spike_linear_everywhere() -> None:
    """A product (no convolution) that nothing but spikes enters is a SpikeLinear, everywhere."""
    for case in WITH_SYNAPSES:
        module = case.make(D)
        if not hasattr(module, "parts"):
            continue
        parts = walk(module)
        fires = {p.name for p in parts if isinstance(p, Neurons)}
        for part in parts:
            if isinstance(part, Synapse) and not isinstance(part.module, nn.Conv2d):
                assert isinstance(part.module, SpikeLinear)
            elif isinstance(part, Dense) and not isinstance(part.module, nn.Conv2d):
                assert not set(part.inputs) & fires, part.name
