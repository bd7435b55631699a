"""Small networks counted by hand, one for each kind of layer."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from spikescan import ALIF, DPLR, DSN, LIF, PRF, PSN, S4D, ProbabilisticSSM, SlidingPSN, Spatial
from spikescan import SpikeSampler as Sampler
from spikescan.energy import TABLES, Account, Layer, assume, measure
from spikescan.models import (
    SDTCM,
    Backbone,
    Classifier,
    GRUBlock,
    LastHead,
    Network,
    PSpikeSSM,
    S4DBlock,
    SpikingCNN,
    SpikingConv,
    SpikingSSM,
    SpikingTransformer,
    StepHead,
    TransformerBlock,
)
from spikescan.neurons import Neuron
from spikescan.neurons import Operations as Ops

B, T, D = 2, 10, 4
STEPS = B * T


def account(model: nn.Module, x: Tensor | None = None, lengths: Tensor | None = None) -> Account:
    torch.manual_seed(0)
    return measure(model, [(torch.randn(B, T, D) if x is None else x, lengths)])


def layer(found: Account, name: str) -> Layer:
    return next(item for item in found.layers if item.name == name)


def spikes_of(model: nn.Module, name: str, x: Tensor) -> Tensor:
    kept: list[Tensor] = []
    module = model.get_submodule(name)
    hook = module.register_forward_hook(lambda _m, _x, out: kept.append(out[0]))
    with torch.no_grad():
        model.eval()(x)
    hook.remove()
    return kept[0]


@pytest.mark.parametrize(
    ("neuron", "expected"),
    [
        (LIF(D), Ops(multiplications=1, additions=2, comparisons=1)),
        (LIF(D, reset="hard"), Ops(multiplications=1, additions=1, comparisons=1)),
        (PRF(D), Ops(multiplications=4, additions=3, comparisons=1)),
        (Spatial(D), Ops(comparisons=1)),
        (ALIF(D), Ops(multiplications=3, additions=4, comparisons=1)),
        # A convolution over 4 steps with its bias; sigmoid^4 by two squarings; h and 1 - alpha.
        (DSN(D), Ops(multiplications=8, additions=6, comparisons=4, functions=1)),
        (DSN(D, tau=0.3), Ops(multiplications=6, additions=6, comparisons=4, functions=2)),
        (PSN(D, steps=T), Ops(multiplications=T, additions=T, comparisons=1)),
        (SlidingPSN(D), Ops(multiplications=4, additions=4, comparisons=1)),
        (Sampler(D), Ops(comparisons=1, random=1)),
        (Sampler(D, evaluation="mean"), Ops(comparisons=2)),
        (
            Sampler(D, evaluation="vote", votes=3),
            Ops(multiplications=1, additions=2, comparisons=3, random=3),
        ),
        # 16 states: 65 and 48 with gain and bias; direct path and GELU in the block.
        (
            ProbabilisticSSM(D, ssm=S4D),
            Ops(multiplications=65, additions=48, comparisons=1, random=1),
        ),
        (
            ProbabilisticSSM(D, ssm=DPLR, activation="gelu", skip=True),
            Ops(multiplications=99, additions=112, comparisons=1, functions=1, random=1),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_neuron_costs_what_its_equation_says(neuron: Neuron, expected: Ops) -> None:
    assert neuron.operations() == expected


def test_the_first_layer_of_digits_is_one_product_a_channel_and_step() -> None:
    model = Classifier(SDTCM, inputs=1, features=D, depth=1)
    found = account(model, torch.randn(B, T, 1))
    assert layer(found, "backbone.encoder").spiking == Ops(macs=D * STEPS)
    # Of a mean over time one division a channel, of a head one product a sequence.
    assert layer(found, "head.mean").spiking == Ops(multiplications=D * B, additions=D * STEPS)
    assert layer(found, "head.linear").spiking == Ops(macs=10 * D * B)
    assert found.parameters == sum(p.numel() for p in model.parameters())


def test_sdtcm_adds_a_row_of_weights_for_each_spike() -> None:
    model, x = SDTCM(D), torch.randn(B, T, D)
    found = account(model, x)
    for neuron, mixer, norm in (
        ("temporal", "time_mixer", "norm_time"),
        ("spatial", "channel_mixer", "norm_channel"),
    ):
        fired = int(spikes_of(model, neuron, x).sum())
        assert fired > 0
        synapse = layer(found, mixer)
        assert synapse.spiking == Ops(acs=fired * D)
        assert synapse.reads == fired * D
        assert synapse.dense == Ops(macs=D * D * STEPS)
        assert synapse.dense_reads == D * D * STEPS
        assert layer(found, norm).spiking == Ops(), "folds into the product before it"
        activity = layer(found, neuron).activity
        assert activity is not None
        assert activity.rate == fired / (D * STEPS)
        assert activity.mean_value == 1
        assert len(activity.over_time) == T
    assert layer(found, "temporal").spiking == D * STEPS * PRF(D).operations()
    assert layer(found, "temporal").states == 2 * D
    assert layer(found, "after_time").spiking == Ops(additions=D * STEPS)


def test_a_norm_before_neurons_does_not_fold() -> None:
    found = account(SDTCM(D, prenorm=True))
    expected = Ops(multiplications=D * STEPS, additions=D * STEPS)
    assert layer(found, "norm_in").spiking == expected


def test_two_directions_are_counted_both() -> None:
    model, x = SDTCM(D, bidirectional=True), torch.randn(B, T, D)
    found = account(model, x)
    both = [int(spikes_of(model, name, x).sum()) for name in ("temporal", "backward_temporal")]
    assert layer(found, "time_mixer").spiking.acs == sum(both) * D
    assert layer(found, "backward_temporal").spiking == D * STEPS * PRF(D).operations()


def test_layer_norm() -> None:
    norm = layer(account(SDTCM(D, norm="layer")), "norm_time")
    expected = Ops(multiplications=3 * D + 2, additions=4 * D, functions=2)
    assert norm.spiking == STEPS * expected


def test_an_integer_spike_is_as_many_additions_or_one_product() -> None:
    model, x = SpikingSSM(D, neuron=DSN), 8 * torch.randn(B, T, D)
    found = account(model, x)
    spikes = spikes_of(model, "neuron", x)
    assert spikes.max() > 1
    synapse = layer(found, "linear")
    assert synapse.spiking == Ops(acs=int(spikes.sum()) * D)
    assert synapse.multiplied == Ops(macs=int((spikes > 0).sum()) * D)
    assert synapse.reads == synapse.multiplied.macs
    activity = layer(found, "neuron").activity
    assert activity is not None
    assert activity.mean_value == pytest.approx(float(spikes[spikes > 0].mean()))
    # Papers count it as one addition.
    assert found.papers().computing == pytest.approx(0.9e-12 * synapse.multiplied.macs / B)
    # The state-space layer, with its direct path.
    assert layer(found, "ssm").spiking == D * STEPS * (
        S4D(D).operations() + Ops(multiplications=1, additions=1)
    )
    assert layer(found, "ssm").states == 16 * D


def test_pspikessm_samples_with_its_mean_as_products() -> None:
    block = PSpikeSSM(D, ssm=S4D)
    sampled = account(block)
    assert layer(sampled, "sampler").spiking == Ops(comparisons=D * STEPS, random=D * STEPS)
    assert layer(sampled, "mixer.linear").spiking.macs == 0
    assert layer(sampled, "affine").spiking == D * STEPS * Ops(multiplications=1, additions=1)
    assert layer(sampled, "mixer.gelu").spiking == Ops(functions=D * STEPS)
    for neuron in (block.sampler, block.neuron):
        neuron.evaluation = "mean"
    mean = layer(account(block), "mixer.linear")
    assert mean.spiking.acs == 0
    assert 0 < mean.spiking.macs <= D * D * STEPS


def test_spiking_attention_adds_where_key_and_value_meet() -> None:
    model, x = SpikingTransformer(D, heads=2), 4 * torch.randn(B, T, D)
    found = account(model, x)
    q, k, v = (z.unflatten(-1, (2, 2)) for z in spikes_of(model, "projected", x).chunk(3, -1))
    outer = sum(int(torch.outer(a, b).sum()) for a, b in zip(_rows(k), _rows(v), strict=True))
    read = int(q.sum()) * 2  # a row of the memory, D / H wide
    assert outer > 0
    attention = layer(found, "attention")
    assert attention.spiking == Ops(acs=outer + read, multiplications=D * STEPS)
    assert attention.states == 2 * 2 * 2
    assert layer(found, "project").spiking == Ops(macs=3 * D * D * STEPS)


def _rows(z: Tensor) -> Tensor:
    return z.flatten(0, 2)


def test_softmax_attention_sees_the_window_and_itself() -> None:
    found = account(TransformerBlock(D, heads=2, window=3))
    seen = B * (1 + 2 + 3 + 7 * 4)
    expected = Ops(macs=2 * D * seen, functions=2 * seen, additions=2 * seen)
    expected += D * STEPS * Ops(multiplications=4, additions=2)
    expected += STEPS * Ops(multiplications=D, functions=2)
    assert layer(found, "attention").spiking == expected


def test_gated_and_plain_baselines() -> None:
    gru = layer(account(GRUBlock(D)), "gru")
    unit = Ops(macs=6 * D, multiplications=3, additions=5, functions=3)
    assert gru.spiking == gru.dense == D * STEPS * unit
    s4d = account(S4DBlock(D))
    assert layer(s4d, "linear").spiking == Ops(macs=2 * D * D * STEPS)
    assert layer(s4d, "glu").spiking == D * STEPS * Ops(multiplications=1, functions=1)
    assert layer(s4d, "gelu").spiking == Ops(functions=D * STEPS)


def test_a_convolution_of_spikes_reaches_fewer_places_at_the_edge() -> None:
    model = SpikingConv(1, 2, neuron=LIF, norm="none")
    image = torch.zeros(1, 1, 1, 3, 3)
    image[..., 0, 0] = 1  # of its 9 windows 4 exist
    conv = layer(account(model, image), "conv")
    assert conv.spiking == Ops(acs=4 * 2)
    assert conv.dense == Ops(macs=9 * 9 * 2)
    image[..., 1, 1] = 0.5
    assert layer(account(model, image), "conv").spiking == conv.dense, "no longer spikes"
    neuron = layer(account(model, image), "neuron")
    assert neuron.spiking == 9 * 2 * LIF(2).operations()
    assert neuron.states == 9 * 2


def test_frames_are_counted_place_by_place() -> None:
    encoder = partial(SpikingCNN, image=(1, 3, 3), channels=(2, 4), stride=1, norm="none")
    model = Backbone(None, inputs=9, features=5, depth=0, encoder=encoder)
    x = torch.zeros(1, 2, 9)
    x[:, :, 4] = 2  # both events in the middle, which 9 windows see
    first, second = (cast(SpikingConv, layer) for layer in model.encoder.layers)  # type: ignore[union-attr]
    for layer_, bias in ((first, -9.0), (second, 9.0)):
        torch.nn.init.constant_(layer_.conv.weight, 9.0)
        torch.nn.init.constant_(cast(Tensor, layer_.conv.bias), bias)
    found = account(model, x)
    conv = layer(found, "encoder.layers.0.conv")
    assert (conv.spiking, conv.dense) == (Ops(acs=2 * 2 * 9 * 2), Ops(macs=2 * 9 * 9 * 2))
    fired = spikes_of(model, "encoder.layers.0.neuron", x)
    assert fired.shape == (9, 2, 2)
    assert fired.all(), "the middle's event reaches all pixels"
    reached = 4 * 4 + 4 * 6 + 9  # windows that the corners, the edges and the middle are seen by
    assert layer(found, "encoder.layers.1.conv").spiking == Ops(acs=2 * 2 * reached * 4)
    assert layer(found, "encoder.layers.1.neuron").states == 9 * 4
    assert layer(found, "encoder.linear").spiking == Ops(acs=2 * 9 * 4 * 5)
    with pytest.raises(NotImplementedError, match=r"encoder\.layers\.0\.conv at a rate: measure"):
        assume(model, steps=5, rate=0.1)


def test_tokens_and_heads() -> None:
    block = partial(SDTCM, neuron=LIF)
    body = Backbone(block, vocabulary=7, features=D, depth=1)
    tokens = torch.randint(7, (B, T))
    found = account(Network(body, StepHead(D, 3)), tokens)
    embedding = layer(found, "backbone.encoder")
    assert embedding.spiking == Ops(), "a row is read"
    assert embedding.reads == D * STEPS
    assert layer(found, "head.linear").spiking == Ops(macs=3 * D * STEPS)
    found = account(Network(body, LastHead(D, 3)), tokens)
    assert layer(found, "head.linear").spiking == Ops(macs=3 * D * B)


def test_padding_costs_nothing() -> None:
    torch.manual_seed(1)
    model = Classifier(SDTCM, inputs=D, features=D, depth=1)
    x, lengths = torch.randn(2, T, D), torch.tensor([T, 3])
    x[1, 3:] = torch.nan
    padded = measure(model, [(x, lengths)])
    apart = measure(model, [(x[:1], None), (x[1:, :3], None)])
    assert padded.steps == T + 3
    assert [item.spiking for item in padded.layers] == [item.spiking for item in apart.layers]
    assert [item.reads for item in padded.layers] == [item.reads for item in apart.layers]
    # Of what is not padding NaN fires nothing, which would be counted as silence.
    with pytest.raises(
        ValueError, match="data must be finite, got a number that is not in batch 1"
    ):
        measure(model, [(x[:1], None), (x, torch.tensor([T, 4]))])


def test_energies_are_counts_times_the_table() -> None:
    found = account(SDTCM(D))
    table, done = TABLES["45nm"], found.operations
    expected = 0.9 * (done.acs + done.additions + done.comparisons) + 3.7 * done.multiplications
    full = next(row for row in found.estimates() if row.name == "full").energy
    assert full.computing == pytest.approx(1e-12 * expected / B)
    # All of it fits in 8 KiB, at 1.25 pJ a byte: parameters read, states read and written.
    reads = sum(item.reads for item in found.layers)
    moved = 4 * reads + 2 * 4 * 2 * D * STEPS
    assert full.memory == pytest.approx(1.25e-12 * moved / B)
    assert full.computing == pytest.approx(
        sum(found.energy(item).computing for item in found.layers)
    )
    assert table.per_byte(32 * 1024) == 2.5e-12


@pytest.mark.parametrize("table", [TABLES["45nm"], TABLES["int8"]], ids=lambda table: table.name)
def test_at_the_break_even_rate_both_networks_cost_the_same(table) -> None:  # type: ignore[no-untyped-def]
    with torch.random.fork_rng():
        model = Classifier(SDTCM, features=64, depth=2)
    low = assume(model, steps=1000, rate=0.5, table=table)
    meeting = low.break_even()
    assert meeting.computing is not None
    # Twice as many spikes are twice the additions: the same rate comes out from any start.
    again = assume(model, steps=1000, rate=0.25, table=table).break_even()
    assert again.computing == pytest.approx(meeting.computing)
    rates = {meeting.computing: False, meeting.with_memory: True}
    for rate, memory in rates.items():
        if rate is None or rate > 1:
            continue
        at = assume(model, steps=1000, rate=rate, table=table)
        rows = {row.name: row.energy for row in at.estimates()}
        ours, dense = rows["full"], rows[f"dense_{'int8' if table.name == 'int8' else 'float32'}"]
        a, b = (e.total if memory else e.computing for e in (ours, dense))
        assert a == pytest.approx(b, rel=1e-3)


def test_rates_that_are_assumed_are_those_of_the_account() -> None:
    found = assume(Classifier(SDTCM, features=16, depth=2), steps=100, rate=0.25)
    assert found.rate == 0.25
    assert layer(found, "backbone.blocks.1.time_mixer").spiking == Ops(acs=25 * 16 * 16)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate": 1.5}, "rate must be from 0 to 1, got 1.5"),
        ({"steps": -1}, "steps must be at least 1, got -1"),
        ({"model": LIF(4)}, "model must be a Backbone or a Network, got a LIF"),
    ],
)
def test_what_cannot_be_assumed_is_told(given: dict[str, Any], message: str) -> None:
    asked: dict[str, Any] = {"model": Classifier(SDTCM, features=4), "steps": 10, "rate": 0.1}
    asked |= given
    with pytest.raises(ValueError, match=message):
        assume(asked.pop("model"), **asked)


def test_a_module_that_is_several_parts_is_counted_for_each() -> None:
    torch.manual_seed(0)
    make = partial(SDTCM, neuron=partial(PRF, threshold=0.2))
    apart = Classifier(make, inputs=D, features=8, depth=2).eval()
    first, second = apart.backbone.blocks
    second.load_state_dict(first.state_dict())
    tied = deepcopy(apart)
    tied.backbone.blocks[1] = tied.backbone.blocks[0]
    x = torch.randn(B, T, D)
    due, found = account(apart, x), account(tied, x)
    assert [item.spiking for item in found.layers] == [item.spiking for item in due.layers]
    assert [item.activity for item in found.layers] == [item.activity for item in due.layers]
    fired = [spikes_of(apart, f"backbone.blocks.{i}.temporal", x).sum() for i in (0, 1)]
    assert fired[0] != fired[1]
