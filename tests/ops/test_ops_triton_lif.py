"""LIF on Triton, run by its interpreter on the CPU, against the loop over time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import torch

pytest.importorskip("triton")

from ops_support import (
    ALL_SURROGATES,
    EXPANDED,
    LAYOUTS,
    Tensors,
    flat,
    laid_out,
    normal,
    run_lif,
    uniform,
)
from triton_support import (
    EDGES,
    ONE_SEGMENT,
    SPAN,
    all_finite,
    check,
    needs_interpreter,
    padded,
    small_and_poisoned,
)

from spikescan.ops.lif import triton
from spikescan.ops.surrogate import Gaussian, Surrogate

needs_interpreter()
# Nearly all that runs here is Triton's interpreter, which counting lines slows twofold.
pytestmark = pytest.mark.no_cover

RESETS = [("soft", True), ("soft", False), ("hard", True), ("hard", False), ("none", True)]


@pytest.fixture(autouse=True)
def short() -> Iterator[None]:
    with small_and_poisoned(ONE_SEGMENT):
        yield


def runner(outputs: str = "spikes membrane v", **options: Any) -> Any:
    names = outputs.split()

    def run(t: Tensors, impl: str) -> Tensors:
        out = run_lif(t, return_membrane="membrane" in names, impl=impl, **options)
        return {name: flat(out)[name] for name in names}

    return run


def inputs(
    batch: int, steps: int, channels: int, dtype: torch.dtype = torch.float32, state: bool = True
) -> Tensors:
    seed = 1000 * batch + 10 * steps + channels
    tensors = {
        "x": normal(batch, steps, channels, seed=seed, dtype=dtype, scale=0.6, shift=0.3),
        "beta": uniform(0.5, 0.99, channels, seed=seed + 1, dtype=dtype),
    }
    if state:
        tensors["v0"] = normal(batch, channels, seed=seed + 2, dtype=dtype)
    return tensors


@pytest.mark.parametrize("state", [True, False], ids=["state", "rest"])
@pytest.mark.parametrize(("batch", "channels"), [(1, 1), (2, 5), (2, 40)])
@pytest.mark.parametrize("steps", EDGES)
def test_shapes(steps: int, batch: int, channels: int, state: bool) -> None:
    reset, detach = RESETS[(steps + channels + state) % len(RESETS)]
    run = runner(reset=reset, detach_reset=detach)
    outputs, _ = check(run, inputs(batch, steps, channels, state=state), summed=["beta"])
    if batch * steps * channels > 50:
        assert 0.05 < outputs["spikes"].mean() < 0.9


def test_the_span_that_is_used() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton, "SPAN", 16)
        check(runner(detach_reset=False), inputs(1, 33, 2), summed=["beta"])


@pytest.mark.parametrize("function", ALL_SURROGATES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize(("reset", "detach"), RESETS)
def test_resets_and_surrogates(reset: str, detach: bool, function: Surrogate) -> None:
    # The dtypes take turns over the grid.
    dtype = (
        torch.float64
        if (len(reset) + detach + ALL_SURROGATES.index(function)) % 2
        else torch.float32
    )
    run = runner(reset=reset, detach_reset=detach, surrogate=function, threshold=0.8, v_reset=-0.25)
    check(run, inputs(1, 2 * SPAN + 1, 7, dtype), summed=["beta"])


@pytest.mark.parametrize(("reset", "detach"), RESETS)
def test_levels_of_each_channel(reset: str, detach: bool) -> None:
    tensors = inputs(2, 2 * SPAN + 1, 40, torch.float64)
    tensors["threshold"] = uniform(0.4, 1.2, 40, seed=1, dtype=torch.float64)
    tensors["v_reset"] = uniform(-0.5, 0.2, 40, seed=2, dtype=torch.float64)

    def run(t: Tensors, impl: str) -> Tensors:
        levels = {"threshold": t["threshold"], "v_reset": t["v_reset"]}
        options = {"reset": reset, "detach_reset": detach, "return_membrane": True}
        return flat(run_lif(t, impl=impl, **levels, **options))

    # The loop gives v_reset no gradient where it has no part.
    needs = [name for name in tensors if name != "v_reset" or reset == "hard"]
    check(run, tensors, needs=needs, summed=["beta", "threshold", "v_reset"])


def test_options_reach_the_kernel_in_full_precision() -> None:
    # In float64 these numbers are not those of float32.
    run = runner(reset="hard", threshold=0.7, v_reset=0.1, surrogate=Gaussian(0.3))
    check(run, inputs(1, 12, 3, torch.float64), summed=["beta"])


@pytest.mark.parametrize("layout", [*LAYOUTS, *EXPANDED])
def test_layouts(layout: str) -> None:
    tensors = inputs(2, 3, 5)
    tensors["x"] = laid_out(tensors["x"], layout)
    tensors["beta"] = tensors["beta"].repeat_interleave(2)[::2]
    tensors["v0"] = tensors["v0"].t().contiguous().t()
    check(runner(reset="hard", detach_reset=False), tensors, summed=["beta"], layout=layout)


SUBSETS = [c for n in (1, 2, 3) for c in combinations(("x", "beta", "v0"), n)]


@pytest.mark.parametrize("outputs", ["spikes", "membrane", "v", "spikes v"])
@pytest.mark.parametrize("needs", SUBSETS, ids="+".join)
def test_requires_grad_subsets(needs: tuple[str, ...], outputs: str) -> None:
    run = runner(outputs, detach_reset=False)
    _, grads = check(run, inputs(1, 3, 3), needs=needs, summed=["beta"])
    assert set(grads) == set(needs)


@pytest.mark.parametrize(("reset", "detach"), RESETS)
def test_lengths_keep_padding_out_of_everything(reset: str, detach: bool) -> None:
    tensors = inputs(5, 5, 3)
    lengths = padded([0, 1, 2, 3, 5], 5, tensors, "x")
    run = runner(reset=reset, detach_reset=detach, lengths=lengths)
    assert all_finite(*check(run, tensors, summed=["beta"]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_keeps_its_state_in_float32(dtype: torch.dtype) -> None:
    tensors = inputs(1, 12, 5)
    tensors["x"] = tensors["x"].to(dtype)
    outputs, grads = check(runner(detach_reset=False), tensors, summed=["beta"])
    assert outputs["spikes"].dtype == grads["x"].dtype == dtype
    assert outputs["v"].dtype == outputs["membrane"].dtype == torch.float32
    cast = {name: value.to(dtype) for name, value in tensors.items()}
    _, grads = check(runner(detach_reset=False), cast, summed=["beta"])
    assert {value.dtype for value in grads.values()} == {dtype}


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3)])
def test_empty_batches_and_sequences(shape: tuple[int, int, int]) -> None:
    tensors = inputs(*shape)
    outputs, grads = check(runner(), tensors, needs=["v0"])
    assert outputs["spikes"].shape == shape
    assert torch.equal(outputs["v"], tensors["v0"])
    assert grads["v0"].any() == bool(shape[0])


@pytest.mark.parametrize("value", [3e38, float("inf"), float("-inf"), float("nan")], ids=str)
def test_extreme_inputs_stay_in_their_channel(value: float) -> None:
    tensors = inputs(2, 9, 3)
    clean = runner()(tensors, "triton")
    tensors["x"][1, 5, 2] = value
    got, due = (runner()(tensors, impl) for impl in ("triton", "reference"))
    for name, expected in due.items():
        torch.testing.assert_close(got[name], expected, rtol=0, atol=0, equal_nan=True)
    for name in ("spikes", "membrane"):
        got[name][1, 5:, 2] = clean[name][1, 5:, 2]
        assert torch.equal(got[name], clean[name])


def test_ties_fire() -> None:
    # Sums of multiples of 1/8 hit the threshold again and again.
    tensors = {k: (v * 8).round() / 8 for k, v in inputs(1, 20, 32).items()}
    tensors["x"] -= 0.25
    tensors["beta"] = torch.ones(32)
    outputs, _ = check(runner(), tensors, summed=["beta"])
    assert (outputs["membrane"] == 1).sum() > 5
    assert torch.equal(outputs["spikes"], (outputs["membrane"] >= 1).float())
