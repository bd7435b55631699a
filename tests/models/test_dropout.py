"""Dropout of spikes before a product, and of a stream."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from spikescan import ops
from spikescan.models import SDTCM, SpikeLinear
from spikescan.neurons.dropout import Dropout


def test_what_stays_is_scaled_by_the_weight_and_spikes_stay_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Tensor] = []
    product = ops.spike_linear

    def spied(s: Tensor, *rest: Any) -> Tensor:
        seen.append(s)
        return product(s, *rest)

    monkeypatch.setattr(ops, "spike_linear", spied)
    layer = SpikeLinear(64, 64, bias=False, dropout=0.25)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(64))
    spikes = (torch.rand(5_000, 64, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    torch.manual_seed(0)
    y = layer(spikes)
    assert set(seen[0].unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(y, seen[0] / 0.75)
    assert float(y.detach().mean()) == pytest.approx(float(spikes.mean()), rel=0.01)
    (g,) = torch.autograd.grad(y.sum(), layer.weight)
    torch.testing.assert_close(g[0], seen[0].sum(0) / 0.75)
    torch.testing.assert_close(layer.eval()(spikes), spikes)
    assert seen[-1] is spikes


def test_all_may_be_dropped() -> None:
    layer = SpikeLinear(8, 4, dropout=1.0)
    assert torch.equal(layer(torch.ones(3, 8)), layer.bias.expand(3, 4))


def test_a_block_drops_in_training_alone() -> None:
    torch.manual_seed(0)
    block, x = SDTCM(16, dropout=0.5), torch.randn(4, 60, 16)
    assert not torch.equal(block(x)[0], block(x)[0])
    with pytest.raises(RuntimeError, match=r"SDTCM\.step needs eval\(\)"):
        block.step(x[:, 0])
    block.eval()
    assert torch.equal(block(x)[0], block(x)[0])


def test_a_stream_is_scaled() -> None:
    layer = Dropout(0.2)
    y = layer(torch.ones(200, 300))
    assert not torch.equal(layer(torch.ones(200, 300)), y)
    torch.manual_seed(0)
    first = layer(torch.ones(200, 300))
    torch.manual_seed(0)
    assert torch.equal(layer(torch.ones(200, 300)), first)
    assert sorted(y.unique().tolist()) == [0.0, 1.25]
    assert float(y.detach().mean()) == pytest.approx(1.0, abs=0.01)
    x = torch.ones(3)
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match="probability"):
        Dropout(1.5)
