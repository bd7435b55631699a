"""Built from defaults, every neuron and block fires on normalised input, found by machine."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikescan import DSN, PRF, PSN, models, neurons
from spikescan.models import Classifier, SpikingCNN, SpikingConv
from spikescan.neurons import Neuron
from support import draw

D, T = 64, 256
NEEDED: dict[type[nn.Module], dict[str, Any]] = {
    PSN: {"features": D, "steps": T},
    SpikingCNN: {"features": 16, "image": (2, 4, D // 8)},
    SpikingConv: {"inputs": 2, "features": 16},
}
"""What has no default."""


def spiking() -> list[type[nn.Module]]:
    """All public neurons, and all public blocks with neurons in them."""
    public = [getattr(room, name) for room in (neurons, models) for name in room.__all__]
    found = [
        item
        for item in public
        if inspect.isclass(item)
        and not inspect.isabstract(item)
        and (issubclass(item, Neuron | models.Block | models.Encoder) or item is SpikingConv)
    ]
    return [kind for kind in found if any(isinstance(m, Neuron) for m in built(kind).modules())]


def built(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind(**NEEDED.get(kind, {"features": D}))


def rates(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Firing rate of each channel (D,) of each layer of neurons."""
    found = dict[str, Tensor]()
    for name, part in module.named_modules():
        if isinstance(part, Neuron):

            def keep(_module: Any, _inputs: Any, out: Any, name: str = name) -> None:
                found[name] = (out[0] != 0).double().mean((0, 1))

            part.register_forward_hook(keep)
    with torch.no_grad():
        module(x)
    return found


@pytest.mark.parametrize("kind", spiking(), ids=lambda kind: kind.__name__)
def test_defaults_fire(kind: type[nn.Module]) -> None:
    x = draw(2, T, 2, 6, 6) if kind is SpikingConv else draw(16, T, D)
    found = rates(built(kind), x)
    assert found
    for layer, rate in found.items():
        assert 0.02 <= rate.mean() <= 0.5, f"{layer}: {float(rate.mean()):.4f}"
        assert (rate == 0).double().mean() <= 0.1, f"{layer}: silent channels"


def test_a_default_network_on_one_channel_fires() -> None:
    torch.manual_seed(0)
    model = Classifier(models.SDTCM, features=D)
    for layer, rate in rates(model, draw(16, T, 1)).items():
        assert 0.02 <= rate.mean() <= 0.5, f"{layer}: {float(rate.mean()):.4f}"


def test_the_papers_start_values_are_one_word_away() -> None:
    torch.manual_seed(0)
    given = PRF(D, theta_max=2 * math.pi, dt_min=1e-3, dt_max=0.1, tau=2.0)
    torch.manual_seed(0)
    block = models.SDTCM(D, neuron=PRF.paper)
    assert isinstance(block.temporal, PRF)
    for name, value in given.state_dict().items():
        assert torch.equal(block.temporal.state_dict()[name], value)
    assert not DSN.paper(D).bias.any()
