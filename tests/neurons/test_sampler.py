"""Random spikes: their law, gradient and modes, draws that do not depend on the cut, and the
probabilistic neuron that fires them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import support
from spikescan import (
    DPLR,
    S4D,
    ProbabilisticSSM,
    ProbabilisticSSMState,
    SamplerState,
    SpikeSampler,
    SSMState,
)
from spikescan.models import parameter_groups
from spikescan.ops.bernoulli import bernoulli, fresh_keys
from spikescan.ops.bernoulli.reference import uniform
from support import seeded
from tolerance import SUMMED, assert_close

B, T, D = 3, 41, 5
# Inputs below, inside and above the interval of probabilities.
draw = partial(support.draw, shift=0.5)


def numbers(batch: int, steps: int, channels: int, seed: int = 0) -> Tensor:
    key = fresh_keys(batch, 1, torch.device("cpu"), seeded(seed))[:, 0]
    return uniform(key, torch.zeros(batch, dtype=torch.int64), steps, channels).double()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_mean_of_spikes_is_the_probability(dtype: torch.dtype) -> None:
    p = torch.tensor([-0.5, 0.0, 0.03, 0.25, 0.5, 0.9, 1.0, 1.7], dtype=dtype)
    n = 20_000
    spikes, _ = SpikeSampler(8)(p.expand(1, n, 8), generator=seeded())
    assert spikes.dtype == dtype
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    expected = p.double().clamp(0, 1)
    error = (spikes.double().mean((0, 1)) - expected).abs()
    # Five standard deviations; none at all where the outcome is certain.
    assert bool((error <= 5 * (expected * (1 - expected) / n).sqrt()).all())


def test_numbers_are_uniform_and_do_not_know_each_other() -> None:
    u = numbers(16, 500, 64)
    assert float(u.min()) >= 0
    assert float(u.max()) < 1
    z = (u - 0.5) * 12**0.5
    for k in (1, 2, 7):
        for a, b in (
            (z[k:], z[:-k]),
            (z[:, k:], z[:, :-k]),
            (z[..., k:], z[..., :-k]),
            (z[:, k:, k:], z[:, :-k, :-k]),
        ):
            assert abs(float((a * b).mean())) * a.numel() ** 0.5 < 5
    counts = torch.histc(u, 256, 0, 1)
    due = u.numel() / 256
    # Chi-square of 255 degrees of freedom has mean 255 and standard deviation 22.6.
    assert abs(float(((counts - due) ** 2 / due).sum()) - 255) < 5 * 22.6
    bits = (u * 2**24).long()
    for bit in range(24):
        assert abs(float(((bits >> bit) & 1).double().mean()) - 0.5) * 2 * u.numel() ** 0.5 < 5


def test_keys_next_to_each_other_give_unlike_numbers() -> None:
    u = uniform(torch.arange(8), torch.zeros(8, dtype=torch.int64), 200, 16).double()
    correlation = torch.corrcoef(u.flatten(1))
    off = correlation[~torch.eye(8, dtype=torch.bool)]
    assert float(off.abs().max()) * (200 * 16) ** 0.5 < 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_is_that_of_the_clamp(dtype: torch.dtype) -> None:
    x = draw(B, T, D, dtype=dtype)
    x[0, :4, 0] = torch.tensor([0.0, 1.0, -1e-6, 1 + 1e-6], dtype=dtype)
    x = x.requires_grad_()
    g = draw(B, T, D, seed=2, dtype=dtype)
    spikes, _ = SpikeSampler(D)(x, generator=seeded())
    (got,) = torch.autograd.grad(spikes, x, g)
    (expected,) = torch.autograd.grad(x.clamp(0, 1), x, g)
    assert torch.equal(got, expected)
    assert torch.equal(
        got[0, :4, 0], torch.stack((g[0, 0, 0], g[0, 1, 0], 0 * g[0, 0, 0], 0 * g[0, 0, 0]))
    )


@pytest.mark.parametrize("cuts", [(20, 21), (1, 5, 30, 5), (1,) * T], ids=len)
@pytest.mark.parametrize("evaluation", ["sample", "mean", "vote"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("batch", [1, B])
def test_whole_is_chunks_is_steps(
    cuts: Sequence[int], evaluation: str, training: bool, batch: int
) -> None:
    sampler = SpikeSampler(D, evaluation=evaluation, votes=3).train(training)  # type: ignore[arg-type]
    x = draw(batch, T, D).requires_grad_()
    whole, last = sampler(x, generator=seeded())
    pieces: list[Tensor] = []
    state: SamplerState | None = None
    for i, piece in enumerate(x.split(list(cuts), 1)):
        first = seeded() if i == 0 else None
        if piece.shape[1] == 1:
            out, state = sampler.step(piece[:, 0], state, first)
            out = out[:, None]
        else:
            out, state = sampler(piece, state, generator=first)
        pieces.append(out)
    parts = torch.cat(pieces, 1)
    assert torch.equal(parts, whole)
    assert state is not None
    assert torch.equal(state.key, last.key)
    assert torch.equal(state.t, last.t)
    g = draw(batch, T, D, seed=3)
    (expected,) = torch.autograd.grad(whole, x, g)
    (got,) = torch.autograd.grad(parts, x, g)
    assert torch.equal(got, expected)


def test_generator_decides_and_seeds_of_torch_count_without_one() -> None:
    sampler, x = SpikeSampler(D), draw(B, T, D)
    first, _ = sampler(x, generator=seeded(3))
    torch.manual_seed(99)
    assert torch.equal(sampler(x, generator=seeded(3))[0], first)
    assert not torch.equal(sampler(x, generator=seeded(4))[0], first)
    torch.manual_seed(5)
    again, _ = sampler(x)
    assert not torch.equal(sampler(x)[0], again), "each rested call draws anew"
    torch.manual_seed(5)
    assert torch.equal(sampler(x)[0], again)


def test_a_row_has_the_same_spikes_alone_and_in_any_batch() -> None:
    sampler, x = SpikeSampler(D), draw(B, T, D)
    lengths = torch.tensor([T, 7, 0])
    spikes, state = sampler(x, lengths=lengths, generator=seeded())
    one = seeded()
    for row, n in enumerate(lengths.tolist()):
        alone, end = sampler(x[row : row + 1, :n], generator=one)
        assert torch.equal(alone[0], spikes[row, :n])
        assert not spikes[row, n:].any()
        assert end.t.item() == state.t[row] == n
        assert end.key.item() == state.key[row]


def test_modes() -> None:
    sampler, x = SpikeSampler(D, evaluation="vote", votes=4), draw(B, T, D)
    trained, _ = sampler(x, generator=seeded())
    assert set(trained.unique().tolist()) == {0.0, 1.0}, "training fires whatever the evaluation"
    sampler.eval()
    votes, _ = sampler(x, generator=seeded())
    assert set(votes.unique().tolist()) == {0.0, 0.25, 0.5, 0.75, 1.0}
    sampler.votes = 1
    assert torch.equal(sampler(x, generator=seeded())[0], trained)
    sampler.evaluation = "mean"
    mean, _ = sampler(x)
    assert torch.equal(mean, x.clamp(0, 1))
    sampler.evaluation, sampler.votes = "vote", 2000
    many, _ = sampler(x[:1, :3], generator=seeded())
    # Independent draws: the error of their mean falls with their number.
    assert float((many - mean[:1, :3]).abs().max()) < 5 * 0.5 / 2000**0.5


def test_padding_may_be_nan() -> None:
    x = draw(B, T, D)
    lengths = torch.tensor([T, 7, 0])
    x[torch.arange(T) >= lengths[:, None]] = torch.nan
    for evaluation in ("sample", "mean", "vote"):
        sampler = SpikeSampler(D, evaluation=evaluation).eval()
        given_x = x.clone().requires_grad_()
        spikes, _ = sampler(given_x, lengths=lengths, generator=seeded())
        spikes.sum().backward()
        assert spikes.isfinite().all()
        assert given_x.grad is not None
        assert given_x.grad.isfinite().all()
        assert not given_x.grad[1, 7:].any()


def test_strides_do_not_matter() -> None:
    sampler, x = SpikeSampler(D), draw(B, T, D)
    expected, _ = sampler(x, generator=seeded())
    for dims in ((0, 1), (1, 2)):
        other = x.transpose(*dims).contiguous().transpose(*dims)
        assert torch.equal(sampler(other, generator=seeded())[0], expected)


def test_large_input_has_the_numbers_of_small_ones() -> None:
    # More elements than are hashed at a time.
    x = torch.full((2, 3000, 64), 0.5)
    state = SamplerState(torch.tensor([1, -2]), torch.zeros(2, dtype=torch.int64))
    whole, _ = SpikeSampler(64)(x, state)
    late = SamplerState(state.key, state.t + 2990)
    assert torch.equal(whole[:, 2990:], SpikeSampler(64)(x[:, :10], late)[0])


@settings(max_examples=30, deadline=None)
@given(
    key=st.integers(-(2**63), 2**63 - 1),
    start=st.integers(0, 2**40),
    cut=st.integers(0, 9),
    p=st.floats(-1, 2),
)
def test_any_key_and_position(key: int, start: int, cut: int, p: float) -> None:
    v = torch.full((1, 9, 3), p)
    keys, at = torch.tensor([key]), torch.tensor([start])
    whole = bernoulli(v, keys, at)
    parts = (bernoulli(v[:, :cut], keys, at), bernoulli(v[:, cut:], keys, at + cut))
    assert torch.equal(torch.cat(parts, 1), whole)
    if p <= 0:
        assert not whole.any()
    if p >= 1:
        assert whole.all()


def test_empty_inputs() -> None:
    sampler = SpikeSampler(D)
    out, state = sampler(torch.zeros(B, 0, D), generator=seeded())
    assert out.shape == (B, 0, D)
    assert not state.t.any()
    assert sampler(torch.zeros(0, T, D))[0].shape == (0, T, D)


def test_errors_say_what_is_wrong() -> None:
    sampler, x = SpikeSampler(D), draw(B, T, D)
    with pytest.raises(ValueError, match="evaluation must be one of"):
        SpikeSampler(D, evaluation="median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="votes must be at least 1, got 0"):
        SpikeSampler(D, votes=0)
    with pytest.raises(ValueError, match=rf"\(B, T, {D}\)"):
        sampler(draw(B, T, D + 1))
    with pytest.raises(TypeError, match="x must be one of"):
        sampler(torch.ones(B, T, D, dtype=torch.int64))
    _, state = sampler(x)
    with pytest.raises(ValueError, match="give it or a state"):
        sampler(x, state, generator=seeded())
    with pytest.raises(ValueError, match=r"shape \(1,\), got \(3,\)"):
        sampler(x[:1], state)
    with pytest.raises(ValueError, match="lengths"):
        sampler(x, lengths=torch.tensor([T + 1, 1, 1]))


def test_copies_and_parameters() -> None:
    sampler = SpikeSampler(D)
    assert not list(sampler.parameters())
    assert not sampler.state_dict()
    x = draw(B, T, D)
    for other in (copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))):
        assert torch.equal(other(x, generator=seeded())[0], sampler(x, generator=seeded())[0])


# The probabilistic neuron

NEURONS = {
    "plain": partial(ProbabilisticSSM, ssm=partial(DPLR, states=8)),
    "full": partial(ProbabilisticSSM, ssm=partial(S4D, states=8), activation="gelu", skip=True),
}
STEPS = 100  # more than a chunk of the state-space op
CUTS = {"halves": (50, 50), "uneven": (1, 64, 34, 1), "steps": (1,) * STEPS}
neurons = pytest.mark.parametrize("make", NEURONS.values(), ids=NEURONS)


def build(make: Callable[[int], Any], dtype: torch.dtype = torch.float64) -> ProbabilisticSSM:
    torch.manual_seed(0)
    return make(D).to(dtype)


def binary(batch: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return (draw(batch, STEPS, D) > 0.5).to(dtype)


@neurons
def test_neuron_is_its_equation(make: Callable[[int], ProbabilisticSSM]) -> None:
    neuron = build(make)
    with torch.no_grad():
        neuron.gain.uniform_(0.5, 2)
        neuron.bias.uniform_(-0.2, 0.5)
    x = binary(B)
    y = neuron.ssm(x)[0]
    if neuron.skip is not None:
        y = torch.nn.functional.gelu(y + neuron.skip * x)
    p = (neuron.gain * y + neuron.bias).clamp(0, 1)
    neuron.evaluation = "mean"
    assert_close(neuron.eval()(x)[0], p, SUMMED)
    # The spikes are those of a sampler with the same key.
    neuron.train()
    spikes, state = neuron(x, generator=seeded())
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert isinstance(state, ProbabilisticSSMState)
    assert isinstance(state.sampler, SamplerState)
    start = SamplerState(state.sampler.key, state.sampler.t - STEPS)
    assert torch.equal(SpikeSampler(D)(p, start)[0], spikes)


@neurons
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("batch", [1, B])
def test_neuron_whole_is_chunks_is_steps(
    make: Callable[[int], ProbabilisticSSM], dtype: torch.dtype, cuts: Sequence[int], batch: int
) -> None:
    neuron = build(make, dtype)
    x = binary(batch, dtype).requires_grad_()
    torch.manual_seed(3)
    whole, last = neuron(x)
    assert last is not None
    assert last.ssm is not None
    torch.manual_seed(3)
    pieces: list[Tensor] = []
    state: Any = None
    for piece in x.split(list(cuts), 1):
        if piece.shape[1] == 1:
            out, state = neuron.step(piece[:, 0], state)
            out = out[:, None]
        else:
            out, state = neuron(piece, state)
        pieces.append(out)
    parts = torch.cat(pieces, 1)
    # A spike may differ only where the uniform number and the probability are a rounding apart.
    differ = int((parts != whole).sum())
    assert differ <= (1 if dtype == torch.float32 else 0)
    assert torch.equal(state.sampler.t, last.sampler.t)
    assert torch.equal(state.sampler.key, last.sampler.key)
    assert_close(state.ssm.h, last.ssm.h, SUMMED)
    g = draw(batch, STEPS, D, seed=4, dtype=dtype)
    wanted = [x, *neuron.parameters()]
    expected = torch.autograd.grad(whole, wanted, g)
    for got, due in zip(torch.autograd.grad(parts, wanted, g), expected, strict=True):
        assert_close(got, due, SUMMED)


@neurons
def test_neuron_gradient_is_straight_through(make: Callable[[int], ProbabilisticSSM]) -> None:
    """The gradient of the mean, whose clamp autograd knows by itself."""
    neuron = build(make)
    x = binary(B).requires_grad_()
    g = draw(B, STEPS, D, seed=4, dtype=torch.float64)
    wanted = [x, *neuron.parameters()]
    sampled = torch.autograd.grad(neuron(x)[0], wanted, g)
    neuron.evaluation = "mean"
    mean = torch.autograd.grad(neuron.eval()(x)[0], wanted, g)
    for got, due in zip(sampled, mean, strict=True):
        assert_close(got, due, SUMMED)


def test_neuron_refuses_the_past_when_it_reads_the_future() -> None:
    neuron = ProbabilisticSSM(D, ssm=partial(S4D, two_sided=True))
    assert not neuron.causal
    x = torch.ones(B, T, D)
    _, state = neuron(x)
    assert state is None
    with pytest.raises(ValueError, match="reads the future here and has no step"):
        neuron.step(x[:, 0])
    own = SSMState(torch.zeros(B, D, 16))
    keys = SamplerState(torch.zeros(B, dtype=torch.int64), torch.zeros(B, dtype=torch.int64))
    with pytest.raises(ValueError, match="reads the future here and has no state"):
        neuron(x, ProbabilisticSSMState(own, keys))
    with pytest.raises(ValueError, match="activation must be"):
        ProbabilisticSSM(D, activation="relu")  # type: ignore[arg-type]


def test_neuron_parameter_groups() -> None:
    neuron = ProbabilisticSSM(D, activation="gelu", skip=True)
    groups = parameter_groups(neuron, lr=1.0, neuron_lr=0.5, weight_decay=0.1)
    rate = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    got = {name: rate[id(p)] for name, p in neuron.named_parameters()}
    own = ("ssm.raw_delta", "ssm.log_decay", "ssm.frequency", "ssm.b", "ssm.p")
    expected = dict.fromkeys(own, (0.5, 0.0))
    expected |= dict.fromkeys(("gain", "bias", "skip"), (1.0, 0.0))
    assert got == {**expected, "ssm.c": (1.0, 0.1)}


@pytest.mark.parametrize("evaluation", ["sample", "mean", "vote"])
@pytest.mark.parametrize("lengths", [None, torch.tensor([0, 7, T])], ids=["whole", "lengths"])
def test_an_input_may_be_scaled_and_shifted_by_the_sampler(
    evaluation: Any, lengths: Tensor | None
) -> None:
    sampler = SpikeSampler(D, evaluation=evaluation, votes=3).eval()
    x, gain, bias = draw(B, T, D), torch.linspace(-1, 2, D), torch.linspace(0.6, -0.2, D)
    options = {"lengths": lengths, "generator": torch.arange(B)[:, None]}
    out, state = sampler(x, affine=(gain, bias), **options)
    due, after = sampler(gain * x + bias, **options)
    assert torch.equal(out, due)
    assert torch.equal(state.t, after.t)
    assert 0 < float(out.mean()) < 1
