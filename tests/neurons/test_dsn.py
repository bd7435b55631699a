"""The dynamic decay neuron: its contract, what its decay can do, and torch's own tools."""

from __future__ import annotations

import copy
import math
import pickle
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import support
from spikescan import DSN, DSNState, ops
from spikescan.neurons import unroll
from spikescan.ops._core.cpu import call as native
from spikescan.ops.surrogate import ATan
from tolerance import ELEMENT, SUMMED, assert_close

B, D = 2, 5
draw = partial(support.draw, scale=3, shift=1)


def build(dtype: torch.dtype = torch.float32, **options: Any) -> DSN:
    torch.manual_seed(0)
    return DSN(D, **{"alpha_start": 0.6, **options}).to(dtype)


def random_state(neuron: DSN, seed: int = 5) -> DSNState:
    dtype = neuron.weight.dtype
    h = draw(B, D, seed=seed, dtype=dtype)
    inputs = draw(B, neuron.kernel_size - 1, D, seed=seed + 1, dtype=dtype)
    return DSNState(h.requires_grad_(), inputs.requires_grad_())


def in_pieces(
    neuron: DSN, x: Tensor, start: DSNState, cuts: list[int], lengths: Tensor | None
) -> tuple[Tensor, DSNState, dict[str, Tensor]]:
    """Spikes, final state and gradients of the sequence cut at the given steps."""
    x = x.detach().requires_grad_()
    state, parts = start, []
    for first, last in pairwise([0, *cuts, x.shape[1]]):
        left = None if lengths is None else (lengths - first).clamp(0, last - first)
        if last - first == 1 and left is None:
            out, state = neuron.step(x[:, first], state)
            out = out[:, None]
        else:
            out, state = neuron(x[:, first:last], state, left)
        parts.append(out)
    spikes = torch.cat(parts, 1)
    loss = (spikes * draw(*spikes.shape, seed=7, dtype=x.dtype)).sum()
    for i, value in enumerate(state):
        loss = loss + (value * draw(*value.shape, seed=8 + i, dtype=x.dtype)).sum()
    wanted = {"x": x, "h": start.h, "inputs": start.inputs, **dict(neuron.named_parameters())}
    grads = torch.autograd.grad(loss, list(wanted.values()))
    return spikes, state, dict(zip(wanted, grads, strict=True))


@st.composite
def a_cut_sequence(draw: st.DrawFn) -> tuple[int, list[int], list[int] | None]:
    steps = draw(st.integers(1, 150))
    cuts = sorted(draw(st.lists(st.integers(0, steps), max_size=6)))
    return steps, cuts, draw(st.none() | st.lists(st.integers(0, steps), min_size=B, max_size=B))


OPTIONS = {
    "integer": {},
    "binary": {"levels": 1, "surrogate": ATan()},
    "any power": {"tau": 0.4, "levels": 2, "surrogate": ATan()},
    "no history": {"kernel_size": 1},
    "long history": {"kernel_size": 16},
}


@pytest.mark.parametrize("name", OPTIONS)
@given(case=a_cut_sequence(), double=st.booleans(), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_chunks_are_the_whole(
    name: str, case: tuple[int, list[int], list[int] | None], double: bool, seed: int
) -> None:
    steps, cuts, rows = case
    neuron = build(torch.float64 if double else torch.float32, **OPTIONS[name])
    lengths = None if rows is None else torch.tensor(rows)
    x, start = draw(B, steps, D, seed=seed, dtype=neuron.weight.dtype), random_state(neuron)
    spikes, state, grads = in_pieces(neuron, x, start, [], lengths)
    parts, end, part_grads = in_pieces(neuron, x, start, cuts, lengths)
    assert torch.equal(parts, spikes)
    assert all(torch.equal(a, b) for a, b in zip(end, state, strict=True))
    for key, value in grads.items():
        table = SUMMED if key in ("weight", "bias") else ELEMENT
        assert_close(part_grads[key], value, table, key)


@pytest.mark.parametrize("name", OPTIONS)
def test_steps_are_the_whole(name: str) -> None:
    neuron = build(**OPTIONS[name])
    x, start = draw(B, 80, D), random_state(neuron)
    spikes, state, grads = in_pieces(neuron, x, start, [], None)
    assert 0 < spikes.mean() < neuron.levels
    steps, end, step_grads = in_pieces(neuron, x, start, list(range(1, 80)), None)
    assert torch.equal(steps, spikes)
    assert all(torch.equal(a, b) for a, b in zip(end, state, strict=True))
    for key, value in grads.items():
        assert_close(step_grads[key], value, SUMMED, key)


def test_a_forgotten_history_is_seen() -> None:
    neuron = build(torch.float64)
    x = draw(B, 40, D, dtype=torch.float64)
    _, state = neuron(x[:, :20])
    right = neuron.trace(x[:, 20:], state).membrane
    wrong = neuron.trace(x[:, 20:], DSNState(state.h, torch.zeros_like(state.inputs))).membrane
    assert right is not None
    assert wrong is not None
    assert not torch.equal(right[:, 0], wrong[:, 0])


def test_output_needs_the_past_alone_and_a_state_of_fixed_size() -> None:
    """Prefix only, updatable online, parallel offline: the paper's three demands."""
    neuron = build()
    x = draw(B, 90, D)
    later = x.clone()
    later[:, 50:] = draw(B, 40, D, seed=3)
    whole, _ = neuron(x)
    assert torch.equal(neuron(later)[0][:, :50], whole[:, :50])
    state, sizes, steps = None, set(), []
    for x_t in x.unbind(1):
        s_t, state = neuron.step(x_t, state)
        steps.append(s_t)
        sizes.add(sum(part.numel() for part in state))
    assert sizes == {B * D * neuron.kernel_size}
    assert torch.equal(torch.stack(steps, 1), whole)


@given(
    bound=st.floats(1e-3, 1e3),
    steps=st.integers(1, 400),
    bias=st.floats(-20, 20),
    seed=st.integers(0, 100),
)
@settings(max_examples=40, deadline=None)
def test_bounded_input_bounds_the_membrane(
    bound: float, steps: int, bias: float, seed: int
) -> None:
    """Long control: whatever the decay, the membrane is a weighted mean of what came in."""
    neuron = build(torch.float64)
    with torch.no_grad():
        neuron.bias.fill_(bias)
    x = draw(B, steps, D, seed=seed, dtype=torch.float64).clamp(-1, 1) * bound
    h0 = draw(B, D, seed=seed + 1, dtype=torch.float64)
    inputs = torch.zeros(B, 3, D, dtype=torch.float64)
    membrane = neuron.trace(x, DSNState(h0, inputs)).membrane
    assert membrane is not None
    limit = torch.maximum(x.abs().amax(1), h0.abs()) * (1 + 1e-12)
    assert (membrane.abs() <= limit[:, None]).all()


@given(size=st.floats(100, 1e6), at=st.integers(5, 40))
@settings(max_examples=20, deadline=None)
def test_a_large_input_can_be_gone_within_a_few_steps(size: float, at: int) -> None:
    """Short control: a decay that the input sets can forget a blow, a fixed one cannot."""
    x = draw(1, 60, D).div(3).clamp(-1, 1)
    fixed, dynamic = build(alpha_start=0.95), build(alpha_start=0.95)
    with torch.no_grad():
        fixed.weight.zero_()
        # A large input makes the decay of the next step vanish.
        dynamic.weight.copy_(torch.tensor([0.0, 0.0, -10.0, 0.0]))
        for neuron, forgets in ((fixed, False), (dynamic, True)):
            after = []
            for blow in (size, 2 * size):
                struck = x.clone()
                struck[:, at] += blow
                membrane = neuron.trace(struck).membrane
                assert membrane is not None
                after.append(membrane[:, at + 1 :])
            assert torch.equal(*after) == forgets
            assert (after[0].abs().max() <= 1) == forgets


def test_every_element_of_every_output_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    x, start = draw(B, 70, D), random_state(build())
    due = in_pieces(build(), x, start, [], torch.tensor([70, 30]))

    def poisoned(*arguments: Any) -> Tensor:
        return native.fake(*arguments).fill_(math.nan)

    monkeypatch.setattr(native, "fresh", poisoned)
    got = in_pieces(build(), x, start, [], torch.tensor([70, 30]))
    for a, b in zip((got[0], *got[1]), (due[0], *due[1]), strict=True):
        assert torch.equal(a, b)
    for name, value in due[2].items():
        assert torch.equal(got[2][name], value)


def test_the_decay_at_zero_input_is_what_was_asked() -> None:
    start = torch.tensor([0.05, 0.5, 0.9, 0.99, 0.999])
    neuron = build(alpha_start=start)
    h = torch.ones(1, D)
    out = neuron.trace(torch.zeros(1, 1, D), DSNState(h, torch.zeros(1, 3, D)))
    torch.testing.assert_close(out.state.h[0], start, rtol=1e-5, atol=0)
    tau = neuron.dynamics()["time constant"]
    torch.testing.assert_close(tau, -1 / torch.log(start), rtol=1e-3, atol=0)
    # The published neuron without a bias: half to the fourth power.
    bare = build(alpha_start=1 / 16)
    assert torch.allclose(bare.bias, torch.zeros(D), atol=1e-6)


def test_a_static_decay_is_a_leaky_integrator_without_reset() -> None:
    neuron = build(torch.float64, alpha_start=0.8, levels=1)
    with torch.no_grad():
        neuron.weight.zero_()
    x = draw(B, 100, D, dtype=torch.float64)
    alpha = neuron.bias.sigmoid() ** 4
    due = ops.lif((1 - alpha) * x, alpha, threshold=0.5, reset="none")
    spikes, state = neuron(x)
    torch.testing.assert_close(state.h, due.state.v, rtol=1e-12, atol=1e-12)
    assert torch.equal(spikes, due.spikes)


def test_parameters_of_the_dynamics_are_all_of_them() -> None:
    neuron = build()
    assert list(neuron.neuron_parameters()) == [neuron.weight, neuron.bias]
    assert neuron.weight.abs().max() <= 0.5


@torch.no_grad()
def test_whole_number_spikes_unroll_into_binary_ones() -> None:
    neuron = build()
    spikes, _ = neuron(draw(B, 50, D))
    substeps = unroll(spikes, neuron.levels)
    assert substeps.shape == (4, B, 50, D)
    assert substeps.dtype == spikes.dtype
    assert substeps.unique().tolist() == [0, 1]
    assert torch.equal(substeps.sum(0), spikes)
    # Weights with few binary digits add up without rounding: exactly the same, additions only.
    weight = torch.randint(-64, 65, (7, D)) / 16
    assert torch.equal(sum(ops.spike_linear(s, weight) for s in substeps), F.linear(spikes, weight))
    weight = torch.randn(7, D)
    added = ops.spike_linear(substeps, weight).sum(0)
    torch.testing.assert_close(added, F.linear(spikes, weight), rtol=1e-5, atol=1e-5)


def test_unroll_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="levels must be at least 1"):
        unroll(torch.ones(2), 0)
    with pytest.raises(ValueError, match="no gradient"):
        unroll(torch.ones(2, requires_grad=True), 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 0}, "kernel_size must lie in 1..16, got 0"),
        ({"kernel_size": 17}, "kernel_size must lie in 1..16, got 17"),
        ({"levels": 0}, "levels must lie in 1..256, got 0"),
        ({"tau": 0.0}, "tau must be positive and finite"),
        ({"tau": -1.0}, "tau must be positive and finite"),
        ({"tau": math.inf}, "tau must be positive and finite"),
        ({"alpha_start": 1.0}, "alpha_start must be above 0 and below 1, got 1.0"),
        ({"alpha_start": torch.tensor([0.5, 0.6])}, r"must be a number or have shape \(5,\)"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DSN(D, **options)


def test_bad_arguments_of_the_ops_are_named() -> None:
    x, weight = torch.zeros(B, 7, D), torch.zeros(D, 4)
    with pytest.raises(ValueError, match=r"alpha must have the shape of x, \(2, 7, 5\)"):
        ops.dsn(x, torch.zeros(B, 8, D))
    with pytest.raises(TypeError, match="alpha must be one of"):
        ops.dsn(x, torch.zeros(B, 7, D, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"^state\.h must have shape \(2, 5\), got \(2, 6\)$"):
        ops.dsn(x, x, DSNState(torch.zeros(B, D + 1), torch.zeros(B, 0, D)))
    with pytest.raises(TypeError, match=r"^state must be None or a DSNState, got a Tensor"):
        ops.dsn(x, x, torch.zeros(B, D))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="levels must lie in"):
        ops.dsn(x, x, levels=257)
    for bad in (torch.zeros(4, D), torch.zeros(D, 0), torch.zeros(D, 17), torch.zeros(D)):
        with pytest.raises(ValueError, match=r"weight must have shape \(5, k\) with k from 1 to"):
            ops.dsn_conv(x, bad)
    with pytest.raises(
        ValueError, match=r"^state\.inputs must have shape \(2, 3, 5\), got \(2, 4, 5\)$"
    ):
        ops.dsn_conv(x, weight, state=DSNState(torch.zeros(B, D), torch.zeros(B, 4, D)))
    with pytest.raises(ValueError, match="exponent must be positive"):
        ops.dsn_conv(x, weight, exponent=0.0)
    with pytest.raises(ValueError, match="bias must be a number"):
        ops.dsn_conv(x, weight, torch.zeros(D + 1))


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_compile_gives_the_same(padded: bool) -> None:
    torch._dynamo.reset()
    neuron = build()
    lengths = torch.tensor([70, 30]) if padded else None
    compiled = torch.compile(neuron, fullgraph=True, backend="aot_eager")
    results = []
    for run in (neuron, compiled):
        x, state = draw(B, 70, D).requires_grad_(), random_state(neuron)
        spikes, end = run(x, state, lengths)
        loss = (spikes * draw(B, 70, D, seed=2)).sum() + sum(v.sum() for v in end)
        grads = torch.autograd.grad(loss, [x, *state, *neuron.parameters()])
        results.append((spikes, *end, *grads))
    for got, due in zip(results[1], results[0], strict=True):
        assert torch.equal(got, due)


def test_copies_are_the_same_neuron() -> None:
    neuron, x = build(levels=2, surrogate=ATan(3.0)), draw(B, 40, D)
    spikes, _ = neuron(x)
    other = DSN(D, levels=2)
    other.load_state_dict(neuron.state_dict())
    for twin in (other, copy.deepcopy(neuron), pickle.loads(pickle.dumps(neuron))):
        assert torch.equal(twin(x)[0], spikes)
    assert set(neuron.state_dict()) == {"weight", "bias"}
    assert repr(neuron) == (
        "DSN(5, kernel_size=4, levels=2, tau=0.25, alpha=0.6, surrogate=ATan(alpha=3.0))"
    )


def test_a_second_derivative_is_refused_by_name() -> None:
    x = draw(B, 9, D).requires_grad_()
    (first,) = torch.autograd.grad(build()(x)[1].h.square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match=r"dsn_backward has no second derivative"):
        first.sum().backward()
