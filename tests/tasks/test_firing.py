"""The term that pushes firing down to a rate."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spikescan import LIF, PRF
from spikescan.data import Classes, Facts, Probe, SequenceBatch
from spikescan.errors import UsageError
from spikescan.models import SDTCM, Backbone, GRUBlock
from spikescan.tasks import Classification, Firing
from spikescan.tasks.firing import Layer, firing_of
from support import draw


def test_the_term_is_its_equation() -> None:
    layers = [Layer(torch.tensor(0.4), 10), Layer(torch.tensor(0.05), 30)]
    assert float(Firing(rate=0.1, weight=2.0).term(layers)) == pytest.approx(2 * (3 + 0) / 2)
    # (4 + 1.5) / 40 spikes a neuron
    whole = Firing(rate=0.1, weight=2.0, per="network").term(layers)
    assert float(whole) == pytest.approx(2 * 0.375)
    assert float(Firing(rate=0.5).term(layers)) == 0


def test_firing_is_counted_over_valid_steps_with_its_gradient() -> None:
    neuron = LIF(3)
    x = draw(2, 10, 3, scale=2.0).requires_grad_()
    for lengths in (None, torch.tensor([10, 4])):
        batch = SequenceBatch(x, torch.zeros(2), lengths)
        with firing_of(neuron, batch) as layers:
            spikes, _ = neuron(x, lengths=lengths)
        (layer,) = layers
        steps = 20 if lengths is None else 14
        torch.testing.assert_close(layer.rate, spikes.sum() / (steps * 3))
        assert layer.neurons == 3
        (slope,) = torch.autograd.grad(layer.rate, x)
        assert slope.abs().sum() > 0
    neuron(x)
    assert len(layers) == 1  # the hooks are gone


def task(block: Any, **options: Any) -> Classification:
    torch.manual_seed(0)
    facts = Facts(Classes(tuple("abcd")), length=32)
    return Classification(Backbone(block, features=16, depth=1), facts, **options)


def rates(model: Classification, batch: SequenceBatch) -> list[float]:
    with torch.no_grad(), firing_of(model.model, batch) as layers:
        model(batch.x)
    return [float(layer.rate) for layer in layers]


@pytest.mark.parametrize("per", ["layer", "network"])
def test_training_comes_to_the_rate(per: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def block(features: int) -> SDTCM:
        return SDTCM(features, neuron=lambda d: PRF(d, dt_min=0.2, dt_max=1.0))

    model = task(block, firing=Firing(rate=0.05, weight=1.0, per=per))
    monkeypatch.setattr(model, "log_dict", lambda *_, **__: None)
    batch = Probe(length=32, samples=64).splits.train.batch(torch.arange(64), 0)
    before = rates(model, batch)
    assert max(before) > 0.15
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        model.training_step(batch, 0).backward()
        optimizer.step()
    after = rates(model, batch)
    assert max(after) < 0.1
    assert min(after) > 0.001  # pushed down to the rate, not to silence


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="rate of Firing must be above 0, got 0"):
        Firing(rate=0)
    with pytest.raises(ValueError, match="weight of Firing must be at least 0, got -1"):
        Firing(weight=-1)
    model = task(GRUBlock, firing=Firing(rate=0.1))
    model.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    batch = SequenceBatch(torch.zeros(2, 8, 1), torch.tensor([0, 1]))
    with pytest.raises(UsageError, match=r"task\.firing\.rate needs a network with neurons"):
        model.training_step(batch, 0)
