"""Truncated backpropagation through time: same outputs, the right gradient, flat memory."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import support
from spikescan import ALIF, LIF, PRF, LIFState
from spikescan.models import (
    SDTCM,
    Classifier,
    GRUBlock,
    SpikingTransformer,
    detach_state,
    run_in_chunks,
)
from tolerance import ELEMENT, SUMMED, assert_close

FAST = partial(PRF, dt_min=0.1, dt_max=1.0, theta_max=3.0)
MODELS = {
    "LIF": partial(LIF, tau=5.0, learnable_tau=True),
    "ALIF": partial(ALIF, learnable_strength=True),
    "SDTCM": partial(SDTCM, neuron=FAST, norm="layer"),
    "SpikingTransformer": partial(SpikingTransformer, neuron=FAST, heads=2, norm="layer"),
    "GRUBlock": GRUBlock,
}
D, T = 6, 50
draw = partial(support.draw, dtype=torch.float64)
by_model = pytest.mark.parametrize("name", MODELS)


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name](D).double()


def gradients(model: nn.Module) -> list[Tensor]:
    return [torch.zeros(()) if p.grad is None else p.grad for p in model.parameters()]


def train(model: nn.Module, x: Tensor, weight: Tensor, chunk: int) -> Tensor:
    model.zero_grad()
    outputs = []
    for out, where, _ in run_in_chunks(model, x, chunk):
        (out * weight[:, where]).sum().backward()
        outputs.append(out.detach())
    return torch.cat(outputs, 1)


@by_model
def test_one_chunk_is_full_backpropagation(name: str) -> None:
    model, x, weight = build(name), draw(2, T, D), draw(2, T, D, seed=2)
    out = model(x)[0]
    (out * weight).sum().backward()
    expected = [g.clone() for g in gradients(model)]
    for chunk in (T, T + 13):
        assert torch.equal(train(model, x, weight, chunk), out)
        for got, due in zip(gradients(model), expected, strict=True):
            assert torch.equal(got, due)


@by_model
def test_outputs_are_those_of_the_whole_and_gradients_are_cut(name: str) -> None:
    model, x, weight = build(name), draw(2, T, D), draw(2, T, D, seed=2)
    whole = model(x)[0].detach()
    got = train(model, x, weight, 20)
    assert_close(got, whole, ELEMENT)
    truncated = [g.clone() for g in gradients(model)]

    model.zero_grad()
    state: Any = None
    for first in (0, 20, 40):
        if first:
            with torch.no_grad():
                _, state = model(x[:, :first])
        out, _ = model(x[:, first : first + 20], state)
        (out * weight[:, first : first + 20]).sum().backward()
    for a, b in zip(truncated, gradients(model), strict=True):
        assert_close(a, b, SUMMED)
    train(model, x, weight, T)
    full = gradients(model)
    assert any(not torch.allclose(a, b) for a, b in zip(truncated, full, strict=True))


@by_model
def test_memory_does_not_grow_with_the_number_of_chunks(name: str) -> None:
    model = build(name)

    class Saved:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor

    peaks = []
    for count in (2, 4, 16):
        alive: weakref.WeakSet[Saved] = weakref.WeakSet()
        peak = 0

        def pack(tensor: Tensor, alive: weakref.WeakSet[Saved] = alive) -> Saved:
            nonlocal peak
            saved = Saved(tensor)
            alive.add(saved)
            peak = max(peak, len(alive))
            return saved

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
            x = draw(2, 10 * count, D)
            for out, _, _ in run_in_chunks(model, x, 10):
                out.sum().backward()
        assert not alive
        assert peak > 0
        peaks.append(peak)
    assert peaks[0] == peaks[1] == peaks[2]


def test_states_and_lengths_are_carried() -> None:
    model, x = build("SDTCM"), draw(3, T, D)
    _, start = model(draw(3, 5, D, seed=4))
    lengths = torch.tensor([T, 23, 1])
    expected, last = model(x, start, lengths)
    outputs, state = [], None
    for out, where, state in run_in_chunks(model, x, 20, start, lengths):
        assert out.shape[1] == where.stop - where.start
        assert not any(leaf.requires_grad for leaf in state.temporal)
        outputs.append(out)
    valid = (torch.arange(T) < lengths[:, None])[..., None]
    assert_close(torch.cat(outputs, 1) * valid, expected * valid, ELEMENT)
    assert state is not None
    for got, due in zip(state.temporal, last.temporal, strict=True):
        assert_close(got, due.detach(), ELEMENT)


def test_classifiers_and_tokens_run_in_chunks() -> None:
    torch.manual_seed(0)
    block = partial(SDTCM, neuron=FAST, norm="layer")
    model = Classifier(block, vocabulary=9, classes=3, features=D, depth=2)
    tokens = torch.randint(0, 9, (2, T))
    for out, _, _ in run_in_chunks(model, tokens, 16):
        out.sum().backward()
    assert_close(out, model(tokens)[0], ELEMENT)


def test_detach_keeps_types_and_values() -> None:
    v = torch.ones(2, 3, requires_grad=True) * 2
    state = {"a": (LIFState(v), None), "b": [v, 3]}
    cut = detach_state(state)
    assert isinstance(cut["a"][0], LIFState)
    assert isinstance(cut["a"], tuple)
    assert isinstance(cut["b"], list)
    assert cut["b"][1] == 3
    assert torch.equal(cut["a"][0].v, v)
    assert not cut["a"][0].v.requires_grad
    assert not cut["b"][0].requires_grad
    with pytest.raises(TypeError, match="got a set in it"):
        detach_state((v, {1}))


def test_errors_come_before_the_first_chunk() -> None:
    model = LIF(D)
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        run_in_chunks(model, torch.zeros(1, 5, D), 0)
    with pytest.raises(ValueError, match=r"x must have shape \(B, T, ...\), got \(5,\)"):
        run_in_chunks(model, torch.zeros(5), 2)
    with pytest.raises(ValueError, match="graph of its own"):
        run_in_chunks(model, torch.zeros(1, 5, D, requires_grad=True) * 2, 2)
