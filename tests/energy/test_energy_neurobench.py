"""NeuroBench counts the same where it counts the same thing; runs where it is installed."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from spikescan import DSN
from spikescan.energy import Account, measure
from spikescan.models import SDTCM, Classifier, SpikingSSM

pytest.importorskip("neurobench", reason="NeuroBench, with snnTorch, is not installed")


class Logits(nn.Module):
    """Of a network the output alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)[0]


def both(block) -> tuple[dict[str, float], Account]:  # type: ignore[no-untyped-def]
    """Operations of a sequence by NeuroBench, and our account."""
    from neurobench.metrics.workload.synaptic_operations import SynapticOperations
    from neurobench.models import TorchModel

    torch.manual_seed(0)
    model = Classifier(block, inputs=3, features=16, depth=2).eval()
    x = 3 * torch.randn(4, 50, 3)
    theirs = TorchModel(Logits(model))
    theirs.register_hooks()
    with torch.no_grad():
        told = SynapticOperations()(theirs, theirs(x), (x, torch.zeros(4)))
    theirs.cleanup_hooks()
    return {key: float(value) for key, value in told.items()}, measure(model, [(x, None)])


def products(account: Account, kind: str) -> float:
    return sum(getattr(layer.spiking, kind) for layer in account.layers) / account.sequences


def test_binary_spikes_are_the_same_operations() -> None:
    told, account = both(SDTCM)
    assert told["Effective_ACs"] == products(account, "acs") > 0
    assert told["Effective_MACs"] == products(account, "macs") > 0
    assert told["Dense"] == sum(layer.dense.macs for layer in account.layers) / 4


def test_integer_spikes_are_products_to_neurobench() -> None:
    told, account = both(partial(SpikingSSM, neuron=DSN))
    multiplied = [layer.multiplied for layer in account.layers if layer.multiplied is not None]
    assert told["Effective_ACs"] == 0
    expected = products(account, "macs") + sum(done.macs for done in multiplied) / 4
    assert told["Effective_MACs"] == expected
