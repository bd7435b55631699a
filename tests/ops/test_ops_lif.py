"""LIF: the compiled kernel against the loop over time, and its behaviour at the edges."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pytest
import torch
from ops_support import (
    ALL_SURROGATES,
    BLOCK_EDGES,
    EXPANDED,
    LAYOUTS,
    Run,
    Tensors,
    check_against_reference,
    flat,
    gradients,
    laid_out,
    leaf,
    normal,
    run_lif,
    uniform,
)

from spikescan.ops import lif, surrogate
from spikescan.ops.lif.api import Leak
from spikescan.ops.surrogate import Surrogate
from tolerance import ELEMENT, assert_close

RESETS = [("soft", True), ("soft", False), ("hard", True), ("hard", False), ("none", True)]
INF, NAN = math.inf, math.nan


def runner(outputs: str = "spikes membrane v", **options: Any) -> Run:
    """LIF with options chosen, giving the named outputs."""
    names = outputs.split()

    def run(t: Tensors, impl: str) -> Tensors:
        out = run_lif(t, return_membrane="membrane" in names, impl=impl, **options)
        assert (out.membrane is None) == ("membrane" not in names)
        return {name: flat(out)[name] for name in names}

    return run


def inputs(
    batch: int,
    steps: int,
    channels: int,
    *,
    dtype: torch.dtype = torch.float32,
    state: bool = True,
    decay: tuple[float, float] = (0.5, 0.99),
) -> Tensors:
    """Input that makes about a third of the steps fire, decays and a state."""
    seed = 1000 * batch + 10 * steps + channels
    tensors = {
        "x": normal(batch, steps, channels, seed=seed, dtype=dtype, scale=0.6, shift=0.3),
        "beta": uniform(*decay, channels, seed=seed + 1, dtype=dtype),
    }
    if state:
        tensors["v0"] = normal(batch, channels, seed=seed + 2, dtype=dtype)
    return tensors


@pytest.mark.parametrize("state", [True, False], ids=["state", "rest"])
@pytest.mark.parametrize("channels", [1, 7, 64, 130])
@pytest.mark.parametrize("steps", BLOCK_EDGES)
def test_shapes(steps: int, channels: int, state: bool) -> None:
    # The resets and gradients through them take turns over the grid.
    reset, detach = RESETS[(steps + channels + state) % len(RESETS)]
    tensors = inputs(1 + channels % 3, steps, channels, state=state)
    run = runner(reset=reset, detach_reset=detach)
    outputs, _ = check_against_reference(run, tensors, summed=["beta"])
    if steps > 30:
        assert 0.05 < outputs["spikes"].mean() < 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("function", ALL_SURROGATES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize(("reset", "detach"), RESETS)
def test_resets_and_surrogates(
    reset: str, detach: bool, function: Surrogate, dtype: torch.dtype
) -> None:
    run = runner(reset=reset, detach_reset=detach, surrogate=function, threshold=0.8, v_reset=-0.25)
    check_against_reference(run, inputs(2, 70, 7, dtype=dtype), summed=["beta"])


@pytest.mark.parametrize("function", [surrogate.ATan(0.7), surrogate.Gaussian(0.1)])
def test_surrogate_parameter_reaches_the_kernel(function: Surrogate) -> None:
    tensors = inputs(1, 20, 3)
    _, default = check_against_reference(runner("spikes"), tensors, summed=["beta"])
    run = runner("spikes", surrogate=function)
    _, grads = check_against_reference(run, tensors, summed=["beta"])
    assert not torch.allclose(grads["x"], default["x"], rtol=0.01)


@pytest.mark.parametrize(("reset", "detach"), RESETS)
@pytest.mark.parametrize("decay", [(0.999, 0.99999), (1.0, 1.0), (0.0, 0.0)], ids=str)
def test_long_sequences_at_the_ends_of_the_decay(
    decay: tuple[float, float], reset: str, detach: bool
) -> None:
    tensors = inputs(1, 1500, 5, decay=decay)
    run = runner(reset=reset, detach_reset=detach)
    check_against_reference(run, tensors, summed=["beta"])


@pytest.mark.parametrize("layout", [*LAYOUTS, *EXPANDED])
def test_layouts_of_the_input(layout: str) -> None:
    tensors = inputs(3, 66, 70)
    tensors["x"] = laid_out(tensors["x"], layout)
    tensors["v0"] = tensors["v0"].t().contiguous().t()
    tensors["beta"] = tensors["beta"].repeat_interleave(2)[::2]
    check_against_reference(runner(reset="soft", detach_reset=False), tensors, summed=["beta"])


@pytest.mark.parametrize("layout", [*LAYOUTS, *EXPANDED])
def test_layouts_of_incoming_gradients(layout: str) -> None:
    run = runner(reset="hard", detach_reset=False)
    check_against_reference(run, inputs(3, 66, 70), summed=["beta"], layout=layout)


def test_a_lazily_negated_input_is_read_with_its_sign() -> None:
    z = torch.complex(normal(2, 9, 3, seed=0), normal(2, 9, 3, seed=1))
    tensors = {**inputs(2, 9, 3), "x": z.conj().imag}
    assert tensors["x"].is_neg()
    check_against_reference(runner(), tensors, needs=[])


SUBSETS = [c for n in (1, 2, 3) for c in combinations(("x", "beta", "v0"), n)]


@pytest.mark.parametrize("outputs", ["spikes", "membrane", "v", "spikes v"])
@pytest.mark.parametrize("needs", SUBSETS, ids="+".join)
def test_requires_grad_subsets(needs: tuple[str, ...], outputs: str) -> None:
    run = runner(outputs, reset="soft", detach_reset=False)
    _, grads = check_against_reference(run, inputs(2, 67, 5), needs=needs, summed=["beta"])
    assert set(grads) == set(needs)


def test_nothing_is_tracked_without_a_reason() -> None:
    out = runner()(inputs(2, 5, 3), "cpu")
    assert not any(value.requires_grad for value in out.values())
    with torch.no_grad():
        out = runner()(leaf(inputs(2, 5, 3), ["x", "beta", "v0"]), "cpu")
    assert not any(value.requires_grad for value in out.values())


@pytest.mark.parametrize("beta", [0.9, 1, torch.tensor(0.9), torch.tensor(0.9).double()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_number_is_a_decay_in_full_precision(beta: Any, dtype: torch.dtype) -> None:
    x = normal(1, 50, 3, seed=0, dtype=dtype)
    exact = torch.full((3,), float(beta), dtype=torch.float64).to(dtype)
    for impl in ("cpu", "reference"):
        out = lif(x, beta, return_membrane=True, impl=impl)
        assert torch.equal(out.membrane, lif(x, exact, return_membrane=True).membrane)


def test_the_gradient_of_one_decay_for_all_channels_is_their_sum() -> None:
    tensors = inputs(2, 40, 6)
    one = torch.tensor(0.9, requires_grad=True)
    lif(tensors["x"], one).spikes.sum().backward()
    each = torch.full((6,), 0.9, requires_grad=True)
    lif(tensors["x"], each).spikes.sum().backward()
    assert_close(one.grad, each.grad.sum(), ELEMENT)


@pytest.mark.parametrize(("reset", "detach"), RESETS)
@pytest.mark.parametrize("state", [True, False], ids=["state", "rest"])
def test_lengths_keep_padding_out_of_everything(reset: str, detach: bool, state: bool) -> None:
    lengths = torch.tensor([0, 1, 63, 64, 65, 100, 130])
    tensors = inputs(7, 130, 66, state=state)
    tensors["x"][torch.arange(130) >= lengths[:, None]] = torch.nan
    run = runner(reset=reset, detach_reset=detach, lengths=lengths)
    outputs, grads = check_against_reference(run, tensors, summed=["beta"])
    for value in (*outputs.values(), *grads.values()):
        assert value.isfinite().all()
    for b, length in enumerate(lengths.tolist()):
        for value in (outputs["spikes"], outputs["membrane"], grads["x"]):
            assert not value[b, length:].any()
        if state:
            row = {"x": tensors["x"][b : b + 1, :length], "beta": tensors["beta"]}
            alone = runner(reset=reset)({**row, "v0": tensors["v0"][b : b + 1]}, "cpu")
            assert torch.equal(outputs["spikes"][b : b + 1, :length], alone["spikes"])
            assert torch.equal(outputs["v"][b : b + 1], alone["v"])


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int64])
def test_lengths_of_any_whole_type(dtype: torch.dtype) -> None:
    tensors = inputs(2, 9, 3)
    lengths = torch.tensor([4, 9])
    expected = runner(lengths=lengths)(tensors, "cpu")
    strided = torch.stack([lengths, lengths], 1).to(dtype)[:, 0]
    for impl in ("cpu", "reference"):
        got = runner(lengths=strided)(tensors, impl)
        assert all(torch.equal(got[name], expected[name]) for name in expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_keeps_its_state_in_float32(dtype: torch.dtype) -> None:
    tensors = inputs(2, 200, 5, decay=(0.99, 0.999))
    tensors["x"] = tensors["x"].to(dtype)
    run = runner(reset="soft", detach_reset=False)
    outputs, grads = check_against_reference(run, tensors, summed=["beta"])
    assert outputs["spikes"].dtype == dtype
    assert outputs["v"].dtype == outputs["membrane"].dtype == torch.float32
    assert (grads["x"].dtype, grads["beta"].dtype) == (dtype, torch.float32)
    # The scan itself is that of float32 on the rounded input.
    wide = run({**tensors, "x": tensors["x"].float()}, "cpu")
    assert torch.equal(outputs["v"], wide["v"])
    # Everything half precision, as a network cast to it would have.
    cast = {name: value.to(dtype) for name, value in tensors.items()}
    _, grads = check_against_reference(run, cast, summed=["beta"])
    assert {value.dtype for value in grads.values()} == {dtype}


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3), (0, 0, 3)])
def test_empty_batches_and_sequences(shape: tuple[int, int, int], reset: str) -> None:
    tensors = inputs(*shape)
    run = runner(reset=reset)
    for options in ({}, {"lengths": torch.zeros(shape[0], dtype=torch.int64)}):
        run = runner(reset=reset, **options)
        outputs, grads = check_against_reference(run, tensors, needs=["v0"])
        assert outputs["spikes"].shape == shape
        # No step: the state passes through, and so does its gradient.
        assert torch.equal(outputs["v"], tensors["v0"])
        if shape[0]:
            assert grads["v0"].any()
    leaves = leaf(tensors, tensors)
    grads = gradients(run(leaves, "cpu"), leaves)
    assert grads["x"].shape == shape
    assert not grads["beta"].any()


def test_a_tie_fires() -> None:
    # u reaches the threshold exactly: 0.5 * 0.5 + 0.5 = 0.75, all of it without rounding.
    x = torch.tensor([0.5, 0.5, 0.0, 0.0]).reshape(1, 4, 1)
    above = math.nextafter(0.75, 1)
    for impl in ("cpu", "reference"):
        for dtype in (torch.float32, torch.float64):
            for reset in ("soft", "hard", "none"):
                out = lif(x.to(dtype), 0.5, threshold=0.75, reset=reset, impl=impl)
                assert out.spikes.flatten().tolist() == [0, 1, 0, 0]
        assert not lif(x.double(), 0.5, threshold=above, impl=impl).spikes.any()


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
def test_ties_on_a_coarse_grid(reset: str) -> None:
    # Sums of multiples of 1/8 hit the threshold again and again.
    tensors = {k: (v * 8).round() / 8 for k, v in inputs(4, 300, 9).items()}
    tensors["x"] -= 0.25
    tensors["beta"] = torch.ones(9)
    outputs, _ = check_against_reference(runner(reset=reset), tensors, summed=["beta"])
    assert (outputs["membrane"] == 1).sum() > 20
    assert torch.equal(outputs["spikes"], (outputs["membrane"] >= 1).float())


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@pytest.mark.parametrize("value", [3e38, -3e38, INF, -INF, NAN], ids=str)
def test_extreme_inputs(value: float, reset: str) -> None:
    """Large values stay finite; +inf fires, -inf and NaN do not; nothing leaves its channel."""
    tensors = inputs(2, 70, 5, decay=(0.5, 0.9))
    clean = runner(reset=reset)(tensors, "cpu")
    tensors["x"][1, 10, 2] = value
    out = runner(reset=reset)(tensors, "cpu")
    assert out["spikes"][1, 10, 2] == (value > 0)
    assert out["spikes"].isfinite().all()
    others = torch.ones(2, 70, 5, dtype=torch.bool)
    others[1, 10:, 2] = False
    for name in ("spikes", "membrane"):
        assert torch.equal(out[name][others], clean[name][others])
    expected = runner(reset=reset)(tensors, "reference")
    if reset == "hard" and value == INF:
        # A hard reset replaces the membrane whatever it is.
        assert out["v"].isfinite().all()
    for name, got in out.items():
        torch.testing.assert_close(got, expected[name], rtol=0, atol=0, equal_nan=True)
    if math.isfinite(value):
        # That of the decay is a sum of products with the membrane, and may overflow.
        _, grads = check_against_reference(runner(reset=reset), tensors, needs=["x", "v0"])
        assert all(g.isfinite().all() for g in grads.values())


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@pytest.mark.parametrize("value", [INF, -INF, NAN], ids=str)
def test_padding_is_zero_beside_an_infinite_state(value: float, reset: str) -> None:
    tensors = inputs(3, 9, 4)
    tensors["v0"].fill_(value)
    run = runner(reset=reset, lengths=torch.tensor([0, 1, 9]))
    out, due = run(tensors, "cpu"), run(tensors, "reference")
    for name, got in out.items():
        torch.testing.assert_close(got, due[name], rtol=0, atol=0, equal_nan=True)
    assert not out["membrane"][0].any()
    assert not out["membrane"][1, 1:].any()


@pytest.mark.parametrize("function", ALL_SURROGATES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("value", [INF, -INF, NAN], ids=str)
def test_gradients_of_one_bad_input_stay_in_its_channel(value: float, function: Surrogate) -> None:
    tensors = inputs(2, 70, 5)
    tensors["x"][1, 10, 2] = value
    run = runner("spikes v", surrogate=function)
    bad = torch.zeros(2, 70, 5, dtype=torch.bool)
    bad[1, :, 2] = True
    grads = {}
    for impl in ("cpu", "reference"):
        leaves = leaf(tensors, tensors)
        grads[impl] = gradients(run(leaves, impl), leaves)["x"]
        assert grads[impl][~bad].isfinite().all()
    assert torch.equal(grads["cpu"].isnan(), grads["reference"].isnan())


@pytest.mark.parametrize("impl", ["cpu", "reference"])
def test_a_leak_is_the_decay_by_other_words_and_carries_no_gradient(impl: str) -> None:
    x, leak = normal(2, 70, 5, seed=1), uniform(0.01, 0.5, 5, seed=2)
    given, due = (lif(x, beta, impl=impl) for beta in (Leak(leak), 1 - leak))  # type: ignore[arg-type]
    assert torch.equal(given.spikes, due.spikes)
    with pytest.raises(ValueError, match="a Leak carries no gradient: give beta as a tensor"):
        lif(x, Leak(leak.requires_grad_()), impl=impl)  # type: ignore[arg-type]
