"""A sequence at once, in chunks with the state carried over, and step by step are one thing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import (
    ALL_SURROGATES,
    Tensors,
    check_gradients,
    gradients,
    leaf,
    normal,
    uniform,
)
from torch import Tensor

from spikescan.ops import lif, linear_scan, resonate
from spikescan.ops.lif import LIFState
from spikescan.ops.linear_scan.api import LinearScanState
from spikescan.ops.resonate import PRFState

State = tuple[Tensor, ...]
# Tensors, one stretch of time, the state before it, valid steps in it, implementation
# -> outputs over time, state after it.
Piece = Callable[[Tensors, slice, State, Tensor | None, str], tuple[Tensors, State]]

LANES = (2, 5)


def lif_piece(**options: Any) -> Piece:
    def run(
        t: Tensors, when: slice, state: State, lengths: Tensor | None, impl: str
    ) -> tuple[Tensors, State]:
        out = lif(
            t["x"][:, when], t["beta"], LIFState(*state) if state else None,
            lengths=lengths, return_membrane=True, impl=impl, **options,
        )  # fmt: skip
        assert out.membrane is not None
        return {"spikes": out.spikes, "membrane": out.membrane}, tuple(out.state)

    return run


def resonate_piece(**options: Any) -> Piece:
    def run(
        t: Tensors, when: slice, state: State, lengths: Tensor | None, impl: str
    ) -> tuple[Tensors, State]:
        out = resonate(
            t["x"][:, when], t["beta"], 3 * t["beta"], PRFState(*state) if state else None,
            tau=5.0, threshold=0.3,
            return_membrane=True, lengths=lengths, impl=impl, **options,
        )  # fmt: skip
        assert out.membrane is not None
        return {"spikes": out.spikes, "membrane": out.membrane}, tuple(out.state)

    return run


def scan_piece(per_step: bool) -> Piece:
    def run(
        t: Tensors, when: slice, state: State, lengths: Tensor | None, impl: str
    ) -> tuple[Tensors, State]:
        a = t["a"][:, when] if per_step else t["beta"]
        out = linear_scan(a, t["x"][:, when], LinearScanState(*state), lengths=lengths, impl=impl)
        return {"h": out.h}, (out.state.h,)

    return run


PIECES = {
    "soft": lif_piece(reset="soft", detach_reset=False, surrogate=ALL_SURROGATES[1]),
    "hard": lif_piece(reset="hard", detach_reset=False, v_reset=-0.2),
    "detached": lif_piece(reset="hard", detach_reset=True),
    "none": lif_piece(reset="none"),
    "resonate": resonate_piece(),
    "scan": scan_piece(False),
    "scan per step": scan_piece(True),
}


def inputs(name: str, steps: int, dtype: torch.dtype, seed: int) -> Tensors:
    tensors = {
        "x": normal(LANES[0], steps, LANES[1], seed=seed, dtype=dtype, scale=0.6, shift=0.2),
        "beta": uniform(0.5, 0.99, LANES[1], seed=seed + 1, dtype=dtype),
        "state 0": normal(*LANES, seed=seed + 2, dtype=dtype),
    }
    if name == "scan per step":
        tensors["a"] = uniform(-1, 1, LANES[0], steps, LANES[1], seed=seed + 4, dtype=dtype)
        del tensors["beta"]
    if name == "resonate":
        tensors["state 1"] = normal(*LANES, seed=seed + 3, dtype=dtype)
    return tensors


def run_in_pieces(
    name: str, tensors: Tensors, cuts: list[int], lengths: Tensor | None, impl: str
) -> tuple[Tensors, Tensors]:
    """Outputs and gradients of the sequence cut at the given steps."""
    leaves = leaf(tensors, tensors)
    steps = tensors["x"].shape[1]
    state: State = tuple(v for k, v in leaves.items() if k.startswith("state"))
    parts: list[Tensors] = []
    edges = [0, *cuts, steps]
    for start, stop in pairwise(edges):
        left = None if lengths is None else (lengths - start).clamp(0, stop - start)
        outputs, state = PIECES[name](leaves, slice(start, stop), state, left, impl)
        parts.append(outputs)
    outputs = {key: torch.cat([part[key] for part in parts], 1) for key in parts[0]}
    outputs |= {f"state {i}": value for i, value in enumerate(state)}
    return outputs, gradients(outputs, leaves)


@st.composite
def a_cut_sequence(draw: st.DrawFn) -> tuple[int, list[int], list[int] | None]:
    """Number of steps, where to cut (empty pieces included), and lengths or None."""
    steps = draw(st.integers(1, 200))
    cuts = sorted(draw(st.lists(st.integers(0, steps), max_size=6)))
    lengths = draw(st.none() | st.lists(st.integers(0, steps), min_size=2, max_size=2))
    return steps, cuts, lengths


@pytest.mark.parametrize("name", PIECES)
@given(case=a_cut_sequence(), double=st.booleans(), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_chunks_are_the_whole(
    name: str, case: tuple[int, list[int], list[int] | None], double: bool, seed: int
) -> None:
    steps, cuts, rows = case
    lengths = None if rows is None else torch.tensor(rows)
    tensors = inputs(name, steps, torch.float64 if double else torch.float32, seed)
    whole, grads = run_in_pieces(name, tensors, [], lengths, "cpu")
    chunked, chunked_grads = run_in_pieces(name, tensors, cuts, lengths, "cpu")
    for key, value in whole.items():
        assert torch.equal(chunked[key], value), key
    check_gradients(chunked_grads, grads, ["beta"])


@pytest.mark.parametrize("impl", ["cpu", "reference"])
@pytest.mark.parametrize("name", PIECES)
def test_steps_are_the_whole(name: str, impl: str) -> None:
    tensors = inputs(name, 130, torch.float32, 0)
    lengths = torch.tensor([130, 70])
    for valid in (None, lengths):
        whole, grads = run_in_pieces(name, tensors, [], valid, "cpu")
        single, single_grads = run_in_pieces(name, tensors, list(range(1, 130)), valid, impl)
        for key, value in whole.items():
            assert torch.equal(single[key], value), key
        check_gradients(single_grads, grads, ["beta"])


@pytest.mark.parametrize("name", PIECES)
def test_a_forgotten_state_is_seen(name: str) -> None:
    tensors = inputs(name, 130, torch.float32, 0)
    whole, _ = run_in_pieces(name, tensors, [], None, "cpu")
    rest = tuple(torch.zeros_like(v) for k, v in tensors.items() if k.startswith("state"))
    tail, _ = PIECES[name](tensors, slice(65, None), rest, None, "cpu")
    for key, value in tail.items():
        assert not torch.equal(value, whole[key][:, 65:])


@given(value=st.floats(-2, 2, width=32), beta=st.floats(0, 1, width=32), steps=st.integers(1, 300))
@settings(max_examples=50, deadline=None)
def test_soft_reset_keeps_the_membrane_bounded(value: float, beta: float, steps: int) -> None:
    """Input below the threshold in size: at most one threshold above it, ever."""
    x = torch.full((1, steps, 1), value / 2.0)
    out = lif(x, beta, reset="soft", return_membrane=True)
    assert out.membrane is not None
    assert out.membrane.max() < 1 + max(value / 2, 0) + 1e-5
    assert out.state.v.max() < 1
    assert torch.equal(out.spikes, (out.membrane >= 1).float())
