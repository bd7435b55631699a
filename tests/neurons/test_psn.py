"""The baselines without recurrence, against their equations."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikescan import PSN, SlidingPSN, SlidingPSNState
from spikescan.ops.surrogate import ATan
from support import draw
from tolerance import ELEMENT, SUMMED, assert_close

B, T, D = 3, 20, 5


def test_psn_is_its_equation() -> None:
    torch.manual_seed(0)
    neuron = PSN(D, steps=T).double()
    with torch.no_grad():
        neuron.threshold.uniform_(-0.2, 0.4)
    x, g = draw(B, T, D, dtype=torch.float64).requires_grad_(), draw(B, T, D, dtype=torch.float64)
    spikes, state = neuron(x)
    assert state is None
    assert 0.1 < spikes.mean() < 0.9
    h = torch.einsum("ts,bsd->btd", neuron.weight, x)
    due = ATan()(h - neuron.threshold[:, None])
    assert torch.equal(spikes, due)
    wanted = (x, neuron.weight, neuron.threshold)
    got = torch.autograd.grad(spikes, wanted, g)
    expected = torch.autograd.grad(due, wanted, g)
    for a, b in zip(got, expected, strict=True):
        assert_close(a, b, SUMMED)


def test_psn_agrees_with_spikingjelly() -> None:
    peer_module = pytest.importorskip("spikingjelly.activation_based.neuron")
    neuron, peer = PSN(D, steps=T), peer_module.PSN(T=T)
    with torch.no_grad():
        peer.weight.copy_(neuron.weight)
        peer.bias.copy_(-neuron.threshold[:, None])
    x = 4 * draw(B, T, D)
    spikes = neuron(x)[0]
    assert spikes.any()
    assert torch.equal(spikes, peer(x.transpose(0, 1).contiguous()).transpose(0, 1))


def test_psn_refuses_what_it_cannot_do() -> None:
    neuron = PSN(D, steps=T)
    x = draw(B, T, D)
    with pytest.raises(ValueError, match="reads the future here and has no step"):
        neuron.step(x[:, 0])
    with pytest.raises(ValueError, match="reads the future here and has no state"):
        neuron(x, ())
    with pytest.raises(ValueError, match="runs sequences of up to 20 steps, got 21"):
        neuron(draw(B, T + 1, D))
    with pytest.raises(ValueError, match=r"must have shape \(B, T, 5\)"):
        neuron(draw(B, T, D + 1))
    with pytest.raises(ValueError, match="steps must be at least 1"):
        PSN(D, steps=0)


def test_psn_takes_half_precision() -> None:
    spikes, _ = PSN(D, steps=T)(draw(B, T, D).bfloat16())
    assert spikes.dtype == torch.bfloat16


@pytest.mark.parametrize("order", [1, 2, 4, 30])
def test_sliding_psn_is_its_equation(order: int) -> None:
    neuron = SlidingPSN(D, order=order).double()
    assert neuron.weight.tolist() == [0.5 ** (order - 1 - i) for i in range(order)]
    x, g = draw(B, T, D, dtype=torch.float64).requires_grad_(), draw(B, T, D, dtype=torch.float64)
    matrix = sum(
        neuron.weight[order - 1 - back]
        * torch.diag(torch.ones(T - back, dtype=torch.float64), -back)
        for back in range(min(order, T))
    )
    due = ATan()(matrix @ x - neuron.threshold)
    spikes, state = neuron(x)
    assert spikes.any()
    assert torch.equal(spikes, due)
    assert state.inputs.shape == (B, order - 1, D)
    wanted = (x, neuron.weight, neuron.threshold)
    got = torch.autograd.grad(spikes, wanted, g)
    expected = torch.autograd.grad(due, wanted, g)
    for a, b in zip(got, expected, strict=True):
        assert_close(a, b, SUMMED)


@given(
    cuts=st.lists(st.integers(0, 60), max_size=8),
    order=st.integers(1, 9),
    rows=st.none() | st.lists(st.integers(0, 60), min_size=B, max_size=B),
    double=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_sliding_chunks_are_the_whole(
    cuts: list[int], order: int, rows: list[int] | None, double: bool
) -> None:
    dtype = torch.float64 if double else torch.float32
    neuron = SlidingPSN(D, order=order).to(dtype)
    x = draw(B, 60, D, dtype=dtype)
    if rows is not None:
        x[torch.arange(60) >= torch.tensor(rows)[:, None]] = torch.nan
    results = []
    for edges in ([0, 60], [0, *sorted(cuts), 60]):
        leaf = x.clone().requires_grad_()
        carried = draw(B, order - 1, D, seed=4, dtype=dtype).requires_grad_()
        state, parts = SlidingPSNState(carried), []
        for first, last in pairwise(edges):
            left = None if rows is None else (torch.tensor(rows) - first).clamp(0, last - first)
            out, state = neuron(leaf[:, first:last], state, left)
            parts.append(out)
        spikes = torch.cat(parts, 1)
        loss = (spikes * draw(B, 60, D, seed=2, dtype=dtype)).sum()
        loss = loss + (state.inputs * draw(B, order - 1, D, seed=3, dtype=dtype)).sum()
        wanted = [leaf, neuron.weight, neuron.threshold, *([carried] if order > 1 else [])]
        results.append((spikes, state.inputs, *torch.autograd.grad(loss, wanted)))
    whole, chunked = results
    assert torch.equal(chunked[0], whole[0])
    assert torch.equal(chunked[1], whole[1])
    assert all(grad.isfinite().all() for grad in whole[2:])
    for a, b in zip((chunked[2], *chunked[5:]), (whole[2], *whole[5:]), strict=True):
        assert_close(a, b, ELEMENT)
    # Sums over all steps, held against the largest of them: the terms of any one may cancel.
    sums = [torch.cat((grads[3], grads[4].reshape(1))) for grads in (chunked, whole)]
    assert_close(*sums, SUMMED)


def test_sliding_steps_are_the_whole() -> None:
    neuron = SlidingPSN(D, order=4)
    x = draw(B, T, D)
    whole, last = neuron(x)
    state, steps = None, []
    for x_t in x.unbind(1):
        s_t, state = neuron.step(x_t, state)
        steps.append(s_t)
    assert torch.equal(torch.stack(steps, 1), whole)
    assert state is not None
    assert torch.equal(state.inputs, last.inputs)
    assert torch.equal(last.inputs, x[:, -3:])


def test_sliding_psn_keeps_its_state_in_float32_and_names_bad_ones() -> None:
    neuron = SlidingPSN(D, order=4)
    spikes, state = neuron(draw(B, T, D).bfloat16())
    assert spikes.dtype == torch.bfloat16
    assert state.inputs.dtype == torch.float32
    with pytest.raises(ValueError, match=r"state.inputs must have shape \(3, 3, 5\)"):
        neuron(draw(B, T, D), SlidingPSNState(torch.zeros(B, 2, D)))
    with pytest.raises(ValueError, match="order must be at least 1"):
        SlidingPSN(D, order=0)


@pytest.mark.parametrize("neuron", [PSN(D, steps=T), SlidingPSN(D)], ids=["PSN", "SlidingPSN"])
def test_torch_tools(neuron: PSN | SlidingPSN) -> None:
    x = 3 * draw(B, T, D)
    spikes = neuron(x)[0]
    assert spikes.any()
    torch._dynamo.reset()
    compiled = torch.compile(neuron, fullgraph=True, backend="aot_eager")
    for twin in (copy.deepcopy(neuron), pickle.loads(pickle.dumps(neuron)), compiled):
        assert torch.equal(twin(x)[0], spikes)
    assert set(neuron.state_dict()) == {"weight", "threshold"}
    # They train as weights do.
    assert not list(neuron.neuron_parameters())
