"""A folded network says what the network says, and every part that cannot be folded is named."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.utils import prune

import spikescan
from networks import NETWORKS, network, sequences
from spikescan import LIF, PRF, PSN, Neuron
from spikescan.energy import measure
from spikescan.models import (
    SDTCM,
    Backbone,
    BatchNorm,
    Classifier,
    Network,
    PSpikeSSM,
    SpikingCNN,
    SpikingTransformer,
    WindowHead,
    parameter_groups,
)
from spikescan.neurons import Stochastic
from spikescan.ops.bernoulli import fresh_keys
from spikescan.stream import CannotFold, Program, fold
from spikescan.stream.records import Affine, Draw, Record, Synapse
from support import draw

by_name = pytest.mark.parametrize("name", NETWORKS)


def random(model: nn.Module) -> bool:
    return any(isinstance(m, Stochastic) and m.evaluation == "sample" for m in model.modules())


@by_name
@torch.no_grad()
def test_a_program_says_what_the_network_says(name: str) -> None:
    model = network(name)
    if random(model):
        for m in model.modules():
            if isinstance(m, Stochastic):
                m.evaluation = "mean"
    x = sequences(model, 2, 60)
    expected = model(x)[0]
    out, _ = fold(model).run(x)
    torch.testing.assert_close(
        out if expected.ndim == 3 else out[:, -1], expected, rtol=1e-5, atol=1e-5
    )


@torch.no_grad()
def test_random_spikes_are_those_of_the_network_with_the_same_keys() -> None:
    model = network("P-SpikeSSM-sample")
    program = fold(model)
    x = sequences(model, 3, 50)
    torch.manual_seed(5)
    expected = model(x)[0]
    torch.manual_seed(5)
    # A block takes a key for a direction backwards in time too, which no causal one has.
    keys = fresh_keys(3, 6, torch.device("cpu"))[:, [0, 1, 3, 4]]
    out, state = program.run(x, keys=keys)
    torch.testing.assert_close(out[:, -1], expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(state.keys, keys)
    assert program.random_keys == 4
    assert [r.key for r in program if isinstance(r, Draw)] == [0, 1, 2, 3]
    assert fold(model, evaluation="mean").random_keys == 0


@by_name
def test_a_program_goes_on_from_a_state(name: str) -> None:
    model = network(name)
    program, x = fold(model), sequences(model, 2, 40)
    keys = torch.arange(2 * program.random_keys).view(2, -1)
    whole, last = program.run(x, keys=keys)
    first, state = program.run(x[:, :13], keys=keys)
    rest, state = program.run(x[:, 13:], state)
    assert torch.equal(torch.cat((first, rest), 1), whole)
    assert all(torch.equal(state.rows[name], last.rows[name]) for name in last.rows)


def test_norms_gains_and_scales_are_in_weights() -> None:
    for name in ("PRF", "scaled", "LIF-hard"):
        assert not any(isinstance(record, Affine) for record in fold(network(name)))
    # Before a neuron a gain has no weight to go into.
    gains = [r.name for r in fold(network("LIF-prenorm")) if isinstance(r, Affine)]
    assert gains == [f"backbone.blocks.{i}.norm_in" for i in range(2)]


def learned() -> tuple[Classifier, Tensor, Tensor]:
    """A small network that has learned for some steps, and sequences with their classes."""
    digits = load_digits()
    x, y = torch.from_numpy(digits.data[:320]).float()[..., None] / 8 - 1, digits.target[:320]
    y = torch.from_numpy(y)
    torch.manual_seed(0)
    neuron = partial(PRF, theta_max=0.8, dt_min=0.2)
    model = Classifier(partial(SDTCM, neuron=neuron), features=32)
    optimizer = torch.optim.AdamW(
        parameter_groups(model, lr=5e-3, neuron_lr=1e-3, weight_decay=0.01)
    )
    for _ in range(2):
        for rows, labels in zip(x.split(32), y.split(32), strict=True):
            optimizer.zero_grad()
            F.cross_entropy(model(rows)[0], labels).backward()
            optimizer.step()
    return model.eval(), x, y


@torch.no_grad()
def disagreement(model: nn.Module, program: Program, x: Tensor) -> tuple[int, int, int]:
    """Spikes that differ, those of them not at a tie, and all spikes."""
    spikes: dict[str, Tensor] = {}
    hooks = [
        m.register_forward_hook(lambda m, a, out, name=name: spikes.update({name: out[0]}))
        for name, m in model.named_modules()
        if isinstance(m, Neuron)
    ]
    out = model(x)[0]
    for hook in hooks:
        hook.remove()
    values, _ = program.trace(x)
    said = values[program.records[-1].name][:, -1]
    assert torch.equal(said.argmax(-1), out.argmax(-1)), "predictions"
    differ = sum(int((values[name] != s).sum()) for name, s in spikes.items())
    return differ, sum(int(s.count_nonzero()) for s in spikes.values()), x.shape[0]


def test_of_a_trained_network_only_spikes_at_ties_differ() -> None:
    model, x, _ = learned()
    assert any(m.inner.running_var.std() > 0 for m in model.modules() if isinstance(m, BatchNorm))  # type: ignore[union-attr]
    differ, fired, _ = disagreement(model, fold(model), x)
    assert fired > 20_000
    assert differ <= 3e-4 * fired


def test_all_that_cannot_be_folded_is_in_one_error() -> None:
    class Own(LIF):
        pass

    model = Classifier(partial(SDTCM, neuron=Own, norm="layer"), features=8, depth=1)
    with pytest.raises(CannotFold) as raised:
        fold(model)
    said = str(raised.value)
    for part in ("temporal (no records for neurons of type Own)", "norm_time", "norm_channel"):
        assert part in said
    assert "no records for LayerNorm" in said
    for block, words in (
        (partial(SDTCM, bidirectional=True), "backwards"),
        (partial(SDTCM, neuron=partial(PSN, steps=8)), "PSN, which reads the future"),
        (partial(SpikingTransformer, heads=2), "attention (no records for parts of type Attention"),
        (partial(PSpikeSSM, evaluation="vote"), "vote"),
        (partial(PSpikeSSM, ssm=partial(spikescan.S4D, two_sided=True)), "reads the future"),
    ):
        with pytest.raises(CannotFold, match="cannot fold") as raised:
            fold(Classifier(block, features=8, depth=1))
        assert words in str(raised.value)
    encoder = partial(SpikingCNN, image=(1, 2, 2))
    with pytest.raises(CannotFold, match=r"encoder\.frames \(.* View\).*conv \(.* type Conv2d\)"):
        fold(Backbone(None, inputs=4, features=8, depth=0, encoder=encoder))
    window = Network(Backbone(SDTCM, features=8, depth=1), WindowHead(8, 2, steps=5))
    with pytest.raises(CannotFold, match=r"head\.window \(each step would read a window of 5"):
        fold(window)
    with pytest.raises(TypeError, match=r"^model must be a network or a part of one, got a Linear"):
        fold(nn.Linear(1, 1))  # type: ignore[arg-type]


def test_a_block_that_computes_for_itself_is_refused() -> None:
    class Louder(SDTCM):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            out, state = super().forward(*args, **kwargs)
            return 2 * out, state

    class Named(SDTCM):
        pass

    fold(Classifier(Named, features=8, depth=1))
    words = r"cannot fold backbone\.blocks\.0 \(Louder has a forward of its own and no parts\)$"
    with pytest.raises(CannotFold, match=words):
        fold(Classifier(Louder, features=8, depth=1))
    with pytest.raises(NotImplementedError, match=r"^no cost is known of backbone\.blocks\.0 \("):
        measure(Classifier(Louder, features=8, depth=1), [(torch.randn(1, 4, 1), None)])


def test_own_products_and_numbers_that_are_not_finite_are_refused() -> None:
    class Own(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input) + 1

    model = network("PRF")
    model.head.linear = Own(72, 10)
    with pytest.raises(CannotFold, match=r"head\.linear \(no records for products of type Own\)"):
        fold(model)
    model = network("PRF")
    model.head.linear.bias.data[0] = torch.nan
    with pytest.raises(CannotFold, match=r"head\.linear \(bias is not finite\)"):
        fold(model)


@torch.no_grad()
def test_a_mask_is_in_the_weights_and_a_hook_is_refused() -> None:
    model, x = network("PRF"), draw(2, 30, 3)
    mixer = model.get_submodule("backbone.blocks.0.time_mixer")
    prune.l1_unstructured(mixer, "weight", amount=0.5)
    mixer.get_parameter("weight_orig").mul_(
        -1
    )  # as a step of training; the mask is applied at the next call
    out, _ = fold(model).run(x)
    torch.testing.assert_close(out[:, -1], model(x)[0], rtol=1e-5, atol=1e-5)
    mixer.register_forward_hook(lambda module, given, out: 2 * out)
    with pytest.raises(CannotFold, match=r"time_mixer \(a hook, or a forward of its own, changes"):
        fold(model)
    model = network("PRF")
    model.head.linear.forward = lambda x: x[..., :10]  # type: ignore[method-assign]
    with pytest.raises(CannotFold, match=r"head\.linear \(a hook, or a forward of its own"):
        fold(model)


def test_a_norm_without_statistics_or_weights_is_refused() -> None:
    for without in ({"affine": False}, {"track_running_stats": False}):
        model = network("PRF")
        model.backbone.blocks[0].norm_time.inner = nn.BatchNorm1d(72, **without)
        with pytest.raises(CannotFold, match=r"norm_time \(.*without running statistics or weig"):
            fold(model)


def test_tokens_are_indices_whatever_their_dtype() -> None:
    model = network("tokens")
    program, x = fold(model), sequences(model, 11, 32)  # of the table's shape
    for dtype in (torch.uint8, torch.int8, torch.int32):
        assert torch.equal(program.run(x.to(dtype))[0], program.run(x)[0])


def test_a_program_is_told_what_it_cannot_read() -> None:
    program = fold(network("PRF"))
    for x, words in (
        (draw(2, 5, 4), r"x must be real input \(B, T, 3\), got torch.float32 \(2, 5, 4\)"),
        (torch.full((1, 2, 3), torch.nan), "x must be finite"),
        (torch.full((1, 2, 3), 1e300, dtype=torch.float64), "x must be finite"),
    ):
        with pytest.raises(ValueError, match=words):
            program.run(x)
    with pytest.raises(ValueError, match=r"state must be that of 2 sequences, got 3"):
        program.run(draw(2, 5, 3), program.rest(3))
    state = program.rest(2)
    with pytest.raises(ValueError, match=r"state must have the rows \{'.*\}, got \{\}"):
        program.run(draw(2, 5, 3), state._replace(rows={}))
    with pytest.raises(ValueError, match=r"keys must be int64 of shape \(2, 0\), got .* \(2, 1\)"):
        program.run(draw(2, 5, 3), state._replace(keys=torch.zeros(2, 1, dtype=torch.int64)))
    with pytest.raises(ValueError, match=r"tokens 0 \.\. 10, got 4 \.\. 11"):
        fold(network("tokens")).run(torch.tensor([[4, 11]]))
    with pytest.raises(ValueError, match="evaluation must be 'sample', 'mean' or None, got 'men'"):
        fold(network("PRF"), evaluation="men")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reads a, which nothing before it makes"):
        Program((Record("b", ("a",), 1),), 1)
    assert all(isinstance(r.weight, Tensor) for r in program if isinstance(r, Synapse))
