"""What a network is counted to do is what the event-driven runtime does."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from spikescan import DSN, LIF
from spikescan.energy import Meter, account_of
from spikescan.models import SDTCM, Classifier, SpikingSSM
from spikescan.stream import Stream, fold

BLOCKS = {
    "PRF": SDTCM,
    "LIF": partial(SDTCM, neuron=partial(LIF, tau=5.0)),
    "DSN": partial(SpikingSSM, neuron=DSN),
}


@pytest.mark.parametrize("name", BLOCKS)
@torch.no_grad()
def test_the_runtime_fires_and_adds_what_the_account_says(name: str) -> None:
    torch.manual_seed(0)
    model = Classifier(BLOCKS[name], inputs=3, features=16, depth=2).eval()
    x = 3 * torch.randn(1, 60, 3)
    stream = Stream(fold(model))
    stream.push(x)
    with Meter(model) as meter:
        model(x)
    counts, synapses = stream.counts(), 0
    for layer in account_of(meter).layers:
        if layer.kind != "Synapse":
            continue
        fired, total = counts[layer.name]
        synapses += 1
        # A row of weights is read for each spike, and added as often as an integer one says.
        assert layer.reads == int(fired) * layer.width > 0
        assert layer.spiking.acs == int(total) * layer.width
        if name == "DSN":
            assert total > fired
    assert synapses == (4 if name != "DSN" else 2)
