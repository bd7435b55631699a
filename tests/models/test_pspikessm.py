"""The P-SpikeSSM block, the spiking state-space block, and their baseline."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import support
from spikescan import DPLR, DSN, LIF, PRF, S4D, ProbabilisticSSM, Spatial, SpikeSampler, Stochastic
from spikescan.data import Probe
from spikescan.models import (
    Block,
    ClampFuse,
    Classifier,
    PSpikeSSM,
    S4DBlock,
    SpikeMixer,
    SpikingSSM,
    parameter_groups,
)
from spikescan.models.block import reverse_time
from spikescan.neurons.sampler import fresh_state
from support import give_statistics, leaves, seeded
from tolerance import ELEMENT, REGROUPED, SUMMED, assert_close

B, T, D, N = 3, 70, 6, 8
draw = partial(support.draw, dtype=torch.float64)
Make = Callable[[int], Any]

SMALL = partial(S4D, states=N, dt_min=0.01, dt_max=1.0)
SMALL_DPLR = partial(DPLR, states=N, dt_min=0.01, dt_max=1.0)
TWO_SIDED = partial(SMALL, two_sided=True)

CAUSAL: dict[str, Make] = {
    "batch-pre": partial(PSpikeSSM, ssm=SMALL_DPLR, prenorm=True),
    "batch-post": partial(PSpikeSSM, ssm=SMALL),
    "layer-pre": partial(PSpikeSSM, ssm=SMALL, norm="layer", prenorm=True),
    "none": partial(PSpikeSSM, ssm=SMALL, norm="none", residual=False),
    "SpikingSSM": partial(SpikingSSM, ssm=SMALL),
    "SpikingSSM-PRF": partial(SpikingSSM, ssm=SMALL_DPLR, neuron=PRF, norm="layer"),
    "SpikingSSM-DSN": partial(SpikingSSM, ssm=SMALL, neuron=DSN, norm="none"),
    "S4DBlock": partial(S4DBlock, ssm=SMALL),
    "S4DBlock-post": partial(S4DBlock, ssm=SMALL, norm="layer", prenorm=False),
}
FUTURE: dict[str, Make] = {
    "bidirectional": partial(PSpikeSSM, ssm=SMALL, bidirectional=True, prenorm=True),
    "two-sided-DPLR": partial(PSpikeSSM, ssm=partial(SMALL_DPLR, two_sided=True), norm="layer"),
    "SpikingSSM-two-sided": partial(SpikingSSM, ssm=TWO_SIDED),
    "S4DBlock-two-sided": partial(S4DBlock, ssm=TWO_SIDED),
}
ALL = {**CAUSAL, **FUTURE}
CUTS: dict[str, Sequence[int]] = {"halves": (35, 35), "uneven": (1, 63, 5, 1), "steps": (1,) * T}
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def cases(named: dict[str, Make]) -> Any:
    return pytest.mark.parametrize("make", named.values(), ids=named)


def build(make: Make, dtype: torch.dtype = torch.float64, *, training: bool = True) -> Any:
    torch.manual_seed(0)
    module = make(D).to(dtype)
    give_statistics(module)
    return module.train(training)


def run(block: Block, x: Tensor, *arguments: Any, seed: int = 3) -> tuple[Tensor, Any]:
    torch.manual_seed(seed)
    return block(x, *arguments)


def set_evaluation(module: nn.Module, evaluation: Any) -> None:
    for m in module.modules():
        if isinstance(m, Stochastic):
            m.evaluation = evaluation


# The contract


@cases(CAUSAL)
@dtypes
@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("batch", [1, B])
def test_whole_is_chunks_is_steps(
    make: Make, dtype: torch.dtype, cuts: Sequence[int], batch: int
) -> None:
    block = build(make, dtype)
    # Batch normalisation trains on the statistics of whole sequences.
    block.train(not any(isinstance(m, nn.BatchNorm1d) for m in block.modules()))
    x = draw(batch, T, D, dtype=dtype).requires_grad_()
    whole, last = run(block, x)
    torch.manual_seed(3)
    pieces, state = [], None
    for piece in x.split(list(cuts), 1):
        if piece.shape[1] == 1:
            z, state = block.step(piece[:, 0], state)
            z = z[:, None]
        else:
            z, state = block(piece, state)
        pieces.append(z)
    parts = torch.cat(pieces, 1)
    # One differing spike would show far beyond these tolerances.
    assert_close(parts, whole, REGROUPED)
    g = draw(batch, T, D, seed=4, dtype=dtype)
    losses = []
    for out, end in ((whole, last), (parts, state)):
        floats = [leaf for leaf in leaves(end) if leaf.is_floating_point()]
        losses.append((out * g).sum() + sum((leaf * leaf).sum() for leaf in floats))
    for got, due in zip(leaves(state), leaves(last), strict=True):
        if due.is_floating_point():
            assert_close(got, due, REGROUPED)
        else:
            assert torch.equal(got, due)
    wanted = [x, *block.parameters()]
    due, got = (torch.autograd.grad(loss, wanted, allow_unused=True) for loss in losses)
    for a, b in zip(got, due, strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            assert_close(a, b, SUMMED)


def test_steps_in_training_are_refused_under_batch_norm_and_dropout() -> None:
    for block in (PSpikeSSM(D), PSpikeSSM(D, norm="layer", dropout=0.1), SpikingSSM(D)):
        with pytest.raises(RuntimeError, match=r"eval\(\)"):
            block.step(torch.zeros(B, D))
        block.eval().step(torch.zeros(B, D))


# The equations of P-SpikeSSM


def full_form(block: PSpikeSSM, x: Tensor, keys: Sequence[Any]) -> Tensor:
    """The block of the docstring, written out."""
    u = block.norm(x)
    if block.gain is not None and block.bias is not None:
        u = block.gain * u + block.bias
    s = block.sampler(u, keys[0])[0]

    def branch(neuron: ProbabilisticSSM, s: Tensor, key: Any) -> Tensor:
        assert neuron.skip is not None
        v = F.gelu(neuron.ssm(s)[0] + neuron.skip * s)
        return SpikeSampler(D).train(block.training)(neuron.gain * v + neuron.bias, key)[0]

    spikes = branch(block.neuron, s, keys[1])
    if block.backward_neuron is not None:
        back = branch(block.backward_neuron, s.flip(1), keys[2]).flip(1)
        spikes = torch.cat((spikes, back), -1)
    y = F.gelu(F.linear(spikes, block.mixer.linear.weight, block.mixer.linear.bias))
    return block.fuse.norm(x + y if block.fuse.residual else y)


PSPIKES = {k: v for k, v in ALL.items() if v.func is PSpikeSSM}  # type: ignore[attr-defined]


@cases(PSPIKES)
def test_block_is_its_equations(make: Make) -> None:
    block, x = build(make), draw(B, T, D)
    with torch.no_grad():
        for p in block.parameters():
            p.add_(0.1 * torch.randn_like(p))
    z, _ = block(x, None, None, seeded(7))
    due = full_form(block, x, fresh_state(B, 3, x.device, seeded(7)))
    assert_close(z, due, REGROUPED)


def test_branches_draw_for_themselves() -> None:
    """With equal branches on a stream that always fires, only the draws can differ."""
    block = build(partial(PSpikeSSM, ssm=SMALL, norm="none", bidirectional=True))
    assert block.backward_neuron is not None
    block.backward_neuron.load_state_dict(block.neuron.state_dict())
    seen: list[Tensor] = []
    for neuron in (block.neuron, block.backward_neuron):
        nn.init.constant_(neuron.bias, 0.5)
        neuron.register_forward_hook(lambda _m, _x, out: seen.append(out[0]))
    run(block, torch.ones(B, T, D, dtype=torch.float64))
    share = float((seen[0] != seen[1]).double().mean())
    assert share > 0.1


def test_reverse_is_within_the_lengths() -> None:
    block = build(FUTURE["bidirectional"], training=False)
    set_evaluation(block, "mean")
    x, lengths = draw(B, T, D), torch.tensor([T, 20, 1])
    mirrored = copy.deepcopy(block)
    mirrored.neuron, mirrored.backward_neuron = block.backward_neuron, block.neuron
    weight = block.mixer.linear.weight.detach()
    mirrored.mixer.linear.weight = nn.Parameter(torch.cat((weight[:, D:], weight[:, :D]), 1))
    valid = (torch.arange(T) < lengths[:, None])[..., None]
    forward = block(x, None, lengths)[0]
    backward = reverse_time(mirrored(reverse_time(x, lengths), None, lengths)[0], lengths)
    assert_close(torch.where(valid, forward, 0), torch.where(valid, backward, 0), REGROUPED)


def test_randomness_is_repeatable_and_votes_approach_the_mean() -> None:
    block, x = build(CAUSAL["layer-pre"], training=False), draw(B, T, D)
    first, _ = block(x, None, None, seeded(1))
    assert torch.equal(block(x, None, None, seeded(1))[0], first)
    assert not torch.equal(block(x, None, None, seeded(2))[0], first)
    _, state = block.step(x[:, 0], None, seeded(1))
    with pytest.raises(ValueError, match="give it or a state"):
        block(x, state, None, seeded(1))
    set_evaluation(block, "mean")
    mean, _ = block(x)
    assert torch.equal(block(x)[0], mean)
    errors = []
    for m in block.modules():
        if isinstance(m, Stochastic):
            m.evaluation = "vote"  # type: ignore[assignment]
    for votes in (1, 100):
        for m in block.modules():
            if isinstance(m, Stochastic):
                m.votes = votes
        z, _ = block(x, None, None, seeded(1))
        errors.append((z - mean).square().mean().item())
    assert errors[1] < errors[0] / 20


def test_parts() -> None:
    torch.manual_seed(0)
    x, y = draw(B, T, D, dtype=torch.float32), draw(B, T, D, seed=2, dtype=torch.float32)
    assert torch.equal(ClampFuse(D)(x, y), x + y)
    assert torch.equal(ClampFuse(D, residual=False)(x, y), y)
    assert_close(ClampFuse(D, norm="layer")(x, y), F.layer_norm(x + y, (D,)), ELEMENT)
    mixer = SpikeMixer(2 * D, D)
    spikes = torch.cat((x, y), -1).round()
    due = F.gelu(spikes @ mixer.linear.weight.T + mixer.linear.bias)
    assert_close(mixer(spikes), due, ELEMENT)


# Parameters


def expected_count(block: PSpikeSSM, ssm_parameters: int) -> int:
    branches = 1 if block.backward_neuron is None else 2
    # Norm, or a and b, before the sampler; a norm after; S, a and b of each branch; the mixer.
    before = 2 * D
    after = 0 if isinstance(block.fuse.norm, nn.Identity) else 2 * D
    return before + after + branches * (ssm_parameters + 3 * D) + branches * D * D + D


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("prenorm", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("ssm", [SMALL, SMALL_DPLR, TWO_SIDED], ids=["S4D", "DPLR", "two-sided"])
def test_no_dead_parameters_and_their_number(
    norm: Any, prenorm: bool, residual: bool, bidirectional: bool, ssm: Any
) -> None:
    make = partial(
        PSpikeSSM,
        ssm=ssm,
        norm=norm,
        prenorm=prenorm,
        residual=residual,
        bidirectional=bidirectional,
    )
    block = build(make)
    modes = N // 2
    count = D + 2 * D * modes + modes * (6 if ssm is SMALL_DPLR else 4)
    count += 2 * D * modes if ssm is TWO_SIDED else 0
    assert sum(p.numel() for p in block.parameters()) == expected_count(block, count)
    z, _ = run(block, draw(16, T, D))
    (z * draw(16, T, D, seed=4)).sum().backward()
    size = {name: float(p.grad.abs().max()) for name, p in block.named_parameters()}
    assert min(size.values()) > 1e-6, size


@cases({k: v for k, v in ALL.items() if k not in PSPIKES})
def test_no_dead_parameters_in_the_other_blocks(make: Make) -> None:
    block = build(make)
    # Strong enough a drive for the resonating neurons, which integrate slowly, to fire.
    z, _ = run(block, 30 * draw(16, T, D))
    (z * draw(16, T, D, seed=4)).sum().backward()
    size = {name: float(p.grad.abs().max()) for name, p in block.named_parameters()}
    assert min(size.values()) > 1e-6, size


def test_learning_rates() -> None:
    block = PSpikeSSM(D, bidirectional=True)
    groups = parameter_groups(block, lr=1.0, neuron_lr=0.5, weight_decay=0.1)
    rate = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    for name, p in block.named_parameters():
        last = name.rpartition(".")[2]
        if last in ("raw_delta", "log_decay", "frequency", "b", "p"):
            assert rate[id(p)] == (0.5, 0.0), name
        elif last == "c" or name == "mixer.linear.weight":
            assert rate[id(p)] == (1.0, 0.1), name
        else:
            assert rate[id(p)] == (1.0, 0.0), name


# Other neurons in the state-space block


@pytest.mark.parametrize(
    "neuron", [LIF, PRF, Spatial, DSN, ProbabilisticSSM, SpikeSampler], ids=lambda n: n.__name__
)
def test_any_neuron_fits(neuron: Any) -> None:
    block = build(partial(SpikingSSM, ssm=SMALL, neuron=neuron))
    x = 3 * draw(B, T, D)
    seen: list[Tensor] = []
    block.neuron.register_forward_hook(lambda _m, _x, out: seen.append(out[0]))
    z, _ = run(block, x)
    spikes = seen[0]
    assert_close(z, x + F.linear(spikes, block.linear.weight, block.linear.bias), ELEMENT)
    drive = block.ssm(block.norm(x), None, None, block.skip)[0]
    torch.manual_seed(3)
    assert torch.equal(block.neuron(drive)[0], spikes)


def test_baseline_is_its_equation() -> None:
    block, x = build(CAUSAL["S4DBlock-post"]), draw(B, T, D)
    y = F.gelu(block.ssm(x)[0] + block.skip * x)
    first, second = F.linear(y, block.linear.weight, block.linear.bias).chunk(2, -1)
    due = F.layer_norm(
        x + first * torch.sigmoid(second),
        (D,),
        block.norm_out.weight,
        block.norm_out.bias,
        block.norm_out.eps,
    )
    assert_close(block(x)[0], due, REGROUPED)


# Whole networks


@cases({k: CAUSAL[k] for k in ("batch-pre", "batch-post", "SpikingSSM")})
def test_classifier_runs_step_by_step(make: Make) -> None:
    torch.manual_seed(0)
    model = Classifier(make, inputs=2, classes=3, features=D, depth=2).double().eval()
    x = draw(B, 40, 2)
    torch.manual_seed(3)
    whole, _ = model(x)
    torch.manual_seed(3)
    state, logits = None, None
    for t in range(40):
        logits, state = model.step(x[:, t], state)
    assert logits is not None
    assert_close(logits, whole, REGROUPED)


@cases(
    {
        "causal": partial(PSpikeSSM, ssm=SMALL_DPLR),
        "bidirectional": partial(PSpikeSSM, ssm=SMALL, bidirectional=True, dropout=0.05),
        "SpikingSSM": partial(SpikingSSM, ssm=SMALL),
        "S4DBlock": partial(S4DBlock, ssm=SMALL),
    }
)
def test_training_lowers_the_loss(make: Make) -> None:
    torch.manual_seed(0)
    data = Probe(batch_size=64, samples=512, length=64, variable=True)
    model = Classifier(make, classes=data.classes, features=16, depth=2)
    groups = parameter_groups(model, lr=0.02, neuron_lr=1e-3, weight_decay=0.01)
    optimizer = torch.optim.AdamW(groups)
    losses = []
    for _ in range(4):
        for batch in data.train_dataloader():
            optimizer.zero_grad()
            logits, _ = model(batch.x, lengths=batch.lengths)
            loss = F.cross_entropy(logits, batch.y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4]), losses


def test_command_line_builds_it() -> None:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Classifier, "model")
    ssm = {"class_path": "spikescan.S4D", "init_args": {"states": N, "two_sided": True}}
    block = {
        "class_path": "spikescan.models.PSpikeSSM",
        "init_args": {"ssm": ssm, "norm": "layer", "evaluation": "mean"},
    }
    options = parser.parse_object({"model": {"block": block, "features": D, "depth": 1}})
    model = parser.instantiate(options).model
    assert isinstance(model.blocks[0], PSpikeSSM)
    assert isinstance(model.blocks[0].neuron.ssm, S4D)
    assert not model.causal
    assert model.blocks[0].neuron.evaluation == "mean"
