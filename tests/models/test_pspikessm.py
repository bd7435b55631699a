"""The P-SpikeSSM block: its equations, draws and parameters."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from ssm_support import (
    SMALL,
    SMALL_DPLR,
    TWO_SIDED,
    B,
    D,
    Make,
    N,
    T,
    build,
    by_cuts,
    cases,
    check_classifier_runs_step_by_step,
    check_no_dead_parameters,
    check_training_lowers_the_loss,
    check_whole_is_chunks_is_steps,
    draw,
    dtypes,
    run,
)
from torch import Tensor, nn

from spikescan import S4D, ProbabilisticSSM, SpikeSampler, Stochastic
from spikescan.models import ClampFuse, Classifier, PSpikeSSM, SpikeMixer, parameter_groups
from spikescan.models.blocks.base import reverse_time
from spikescan.neurons.sampler import Evaluation, fresh_state
from spikescan.ops.ssm.chunked import CHUNK
from support import leaves, seeded
from tolerance import ELEMENT, REGROUPED, SUMMED, assert_close

CAUSAL: dict[str, Make] = {
    "batch-pre": partial(PSpikeSSM, ssm=SMALL_DPLR, prenorm=True),
    "batch-post": partial(PSpikeSSM, ssm=SMALL),
    "layer-pre": partial(PSpikeSSM, ssm=SMALL, norm="layer", prenorm=True),
    "none": partial(PSpikeSSM, ssm=SMALL, norm="none", residual=False),
}
FUTURE: dict[str, Make] = {
    "bidirectional": partial(PSpikeSSM, ssm=SMALL, bidirectional=True, prenorm=True),
    "two-sided-DPLR": partial(PSpikeSSM, ssm=partial(SMALL_DPLR, two_sided=True), norm="layer"),
}
ALL = {**CAUSAL, **FUTURE}


def set_evaluation(module: nn.Module, evaluation: Any) -> None:
    for m in module.modules():
        if isinstance(m, Stochastic):
            m.evaluation = evaluation


@cases(CAUSAL)
@dtypes
@by_cuts
@pytest.mark.parametrize("batch", [1, B])
def test_whole_is_chunks_is_steps(
    make: Make, dtype: torch.dtype, cuts: Sequence[int], batch: int
) -> None:
    check_whole_is_chunks_is_steps(make, dtype, cuts, batch)


@cases(ALL)
@pytest.mark.parametrize("evaluation", get_args(Evaluation))
def test_rows_in_a_padded_batch_are_rows_alone(make: Make, evaluation: Evaluation) -> None:
    block = build(make, training=False)
    set_evaluation(block, evaluation)
    lengths = torch.tensor([T, CHUNK + 1, CHUNK, 1])
    x = draw(len(lengths), T, D)
    x[torch.arange(T) >= lengths[:, None]] = torch.nan
    x = x.requires_grad_()
    wanted = [x, *block.parameters()]
    z, state = run(block, x, None, lengths)

    # Rows take their random numbers one after the other, alone as in a batch.
    torch.manual_seed(3)
    total, alone_total = z.new_zeros(()), z.new_zeros(())
    for row, n in enumerate(lengths.tolist()):
        alone, alone_state = block(x[row : row + 1, :n])
        assert_close(z[row : row + 1, :n], alone, REGROUPED)
        for got, due in zip(leaves(state), leaves(alone_state), strict=True):
            if due.is_floating_point():
                assert_close(got[row : row + 1], due, REGROUPED)
            else:
                assert torch.equal(got[row : row + 1], due)
        g = draw(1, n, D, seed=4 + row)
        total = total + (z[row : row + 1, :n] * g).sum()
        alone_total = alone_total + (alone * g).sum()
    due, got = (torch.autograd.grad(loss, wanted) for loss in (alone_total, total))
    for a, b in zip(got, due, strict=True):
        assert_close(a, b, SUMMED)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_rows_of_a_stack_are_rows_alone(bidirectional: bool) -> None:
    """The random numbers of later blocks and of a readout do not depend on the batch either."""
    torch.manual_seed(0)
    block = partial(PSpikeSSM, bidirectional=bidirectional, norm="none")
    model = Classifier(block, inputs=3, classes=2, features=D, depth=2, readout=SpikeSampler)
    model = model.double().eval()
    x, lengths = draw(4, T, 3), torch.tensor([T, 5, T, 9])
    torch.manual_seed(3)
    logits, state = model(x, lengths=lengths)
    torch.manual_seed(3)
    for row, n in enumerate(lengths.tolist()):
        alone, own = model(x[row : row + 1, :n])
        assert_close(logits[row : row + 1], alone, REGROUPED)
        for got, due in zip(leaves(state), leaves(own), strict=True):
            if not due.is_floating_point():  # keys and steps
                assert torch.equal(got[row : row + 1], due)


def test_steps_in_training_are_refused_under_batch_norm_and_dropout() -> None:
    for block in (PSpikeSSM(D), PSpikeSSM(D, norm="layer", dropout=0.1)):
        with pytest.raises(RuntimeError, match=r"eval\(\)"):
            block.step(torch.zeros(B, D))
        block.eval().step(torch.zeros(B, D))


# Equations


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


@cases(ALL)
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
    check_no_dead_parameters(block, draw(16, T, D))


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


# Whole networks


@cases({k: CAUSAL[k] for k in ("batch-pre", "batch-post")})
def test_classifier_runs_step_by_step(make: Make) -> None:
    check_classifier_runs_step_by_step(make)


@cases(
    {
        "causal": partial(PSpikeSSM, ssm=SMALL_DPLR),
        "bidirectional": partial(PSpikeSSM, ssm=SMALL, bidirectional=True, dropout=0.05),
    }
)
def test_training_lowers_the_loss(make: Make) -> None:
    check_training_lowers_the_loss(make)


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
    assert isinstance(model.backbone.blocks[0], PSpikeSSM)
    assert isinstance(model.backbone.blocks[0].neuron.ssm, S4D)
    assert not model.causal
    assert model.backbone.blocks[0].neuron.evaluation == "mean"
