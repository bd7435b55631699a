"""Dynamic decay on Triton, in one segment and in several, against the loop over time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

pytest.importorskip("triton")

from ops_support import ALL_SURROGATES, Tensors, dsn_outputs, dsn_state, laid_out, normal, uniform
from triton_support import (
    EDGES,
    ONE_SEGMENT,
    SEGMENTS,
    SPAN,
    all_finite,
    check,
    needs_interpreter,
    padded,
    small_and_poisoned,
)

from spikescan.ops import dsn, dsn_conv
from spikescan.ops.surrogate import ATan, Surrogate
from tolerance import Table, Tolerance

needs_interpreter()
# Nearly all that runs here is Triton's interpreter, which counting lines slows twofold.
pytestmark = pytest.mark.no_cover

SUMMED = ("weight", "bias")
# As the compiled kernel's, whose exponential is its own as well.
FUSED: Table = {
    torch.float64: Tolerance(1e-11, "the decays differ in their last bits"),
    torch.float32: Tolerance(1e-4, "worst seen 2e-5, where a sum over time cancels"),
}


@pytest.fixture(autouse=True, params=[ONE_SEGMENT, SEGMENTS], ids=["one segment", "segments"])
def many_lanes(request: pytest.FixtureRequest) -> Iterator[int]:
    with small_and_poisoned(request.param):
        yield request.param


def given_inputs(
    batch: int, steps: int, channels: int, dtype: torch.dtype = torch.float32, state: bool = True
) -> Tensors:
    seed = 1000 * batch + 10 * steps + channels
    tensors = {
        "x": normal(batch, steps, channels, seed=seed, dtype=dtype, scale=3, shift=1),
        "alpha": uniform(0, 1, batch, steps, channels, seed=seed + 1, dtype=dtype),
    }
    if state:
        tensors["h0"] = normal(batch, channels, seed=seed + 2, dtype=dtype, scale=2)
    return tensors


def given(outputs: str = "spikes membrane h", **options: Any) -> Any:
    names = outputs.split()

    def run(t: Tensors, impl: str) -> Tensors:
        out = dsn(
            t["x"], t["alpha"], dsn_state(t), impl=impl,
            return_membrane="membrane" in names, **options,
        )  # type: ignore[arg-type]  # fmt: skip
        return {name: dsn_outputs(out)[name] for name in names}

    return run


def conv_inputs(
    batch: int,
    steps: int,
    channels: int,
    taps: int = 4,
    dtype: torch.dtype = torch.float32,
    state: bool = True,
) -> Tensors:
    seed = 1000 * batch + 10 * steps + channels
    tensors = {
        "x": normal(batch, steps, channels, seed=seed, dtype=dtype, scale=3, shift=1),
        "weight": normal(channels, taps, seed=seed + 1, dtype=dtype, scale=0.3),
        "bias": uniform(0, 3, channels, seed=seed + 2, dtype=dtype),
    }
    if state:
        tensors["h0"] = normal(batch, channels, seed=seed + 3, dtype=dtype, scale=2)
    if state and taps > 1:
        tensors["inputs"] = normal(batch, taps - 1, channels, seed=seed + 4, dtype=dtype)
    return tensors


def conv(outputs: str = "spikes membrane h inputs", **options: Any) -> Any:
    names = outputs.split()

    def run(t: Tensors, impl: str) -> Tensors:
        out = dsn_conv(
            t["x"], t["weight"], t["bias"], dsn_state(t, t["weight"].shape[1]), impl=impl,
            return_membrane="membrane" in names, **options,
        )  # type: ignore[arg-type]  # fmt: skip
        return {name: dsn_outputs(out)[name] for name in names}

    return run


def check_conv(run: Any, tensors: Tensors, **options: Any) -> tuple[Tensors, Tensors]:
    return check(run, tensors, summed=SUMMED, exact=False, table=FUSED, **options)


@pytest.mark.parametrize("state", [True, False], ids=["state", "rest"])
@pytest.mark.parametrize("steps", EDGES)
def test_given_shapes(steps: int, state: bool, many_lanes: int) -> None:
    tensors = given_inputs(1 + steps % 2, steps, 3 if steps != 3 else 40, state=state)
    outputs, _ = check(given(), tensors, exact=many_lanes == ONE_SEGMENT)
    if steps == 3:
        assert outputs["spikes"].unique().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("steps", EDGES)
def test_conv_shapes(steps: int) -> None:
    # In float32 an edge of the window may be a tie: a smooth surrogate has none.
    run = conv(surrogate=ATan())
    check_conv(run, conv_inputs(1, steps, 3 if steps != 3 else 40))
    check_conv(conv(), conv_inputs(1, steps, 2, dtype=torch.float64, state=False))


@pytest.mark.parametrize(
    ("function", "levels"),
    [(None, 1), (None, 3), *((s, 1 + i % 2) for i, s in enumerate(ALL_SURROGATES))],
)
def test_surrogates(function: Surrogate | None, levels: int, many_lanes: int) -> None:
    options: dict[str, Any] = {"surrogate": function, "levels": levels}
    tensors = given_inputs(1, SPAN + 1, 9, torch.float64)
    outputs, _ = check(given(**options), tensors, exact=many_lanes == ONE_SEGMENT)
    assert outputs["spikes"].max() == levels


@pytest.mark.parametrize(("taps", "exponent"), [(1, 1.0), (2, 4.0), (16, 4.0), (4, 9.0), (2, 0.3)])
def test_kernel_sizes_and_exponents(taps: int, exponent: float) -> None:
    # Sixteen taps reach back over several spans.
    run = conv(exponent=exponent)
    check_conv(run, conv_inputs(1, 2 * SPAN + 1, 2, taps, torch.float64))


@pytest.mark.parametrize("bias", [30.0, 800.0, -30.0, -800.0])
@pytest.mark.parametrize("exponent", [4.0, 2.5])
def test_decays_that_saturate(bias: float, exponent: float) -> None:
    tensors = conv_inputs(1, 3, 2)
    tensors["bias"].fill_(bias)
    check_conv(conv("membrane h", exponent=exponent), tensors, needs=["h0"])


@pytest.mark.parametrize("layout", ["time first", "every other", "over time"])
def test_layouts(layout: str) -> None:
    tensors = given_inputs(2, 3, 3)
    tensors["x"], tensors["alpha"] = (laid_out(tensors[k], layout) for k in ("x", "alpha"))
    check(given(), tensors, layout=layout, exact=False)
    fused = conv_inputs(2, 3, 3)
    fused["x"] = laid_out(fused["x"], layout)
    fused["weight"] = fused["weight"].t().contiguous().t()
    check_conv(conv(surrogate=ATan()), fused, layout=layout)


@pytest.mark.parametrize("needs", [("x",), ("alpha",), ("h0",), ("x", "alpha")], ids="+".join)
@pytest.mark.parametrize("outputs", ["spikes", "h"])
def test_given_requires_grad_subsets(needs: tuple[str, ...], outputs: str) -> None:
    check(given(outputs), given_inputs(1, 3, 2), needs=needs, exact=False)


@pytest.mark.parametrize("needs", [("x",), ("weight",), ("bias",), ("h0", "inputs")], ids="+".join)
@pytest.mark.parametrize("outputs", ["spikes", "h inputs"])
def test_conv_requires_grad_subsets(needs: tuple[str, ...], outputs: str) -> None:
    check_conv(conv(outputs, surrogate=ATan()), conv_inputs(1, 4, 2), needs=needs)


def test_lengths(many_lanes: int) -> None:
    tensors = given_inputs(3, 5, 2)
    lengths = padded([0, 1, 4], 5, tensors, "x", "alpha")
    exact = many_lanes == ONE_SEGMENT
    assert all_finite(*check(given(lengths=lengths), tensors, exact=exact))
    # Rows shorter than the convolution hand on what they were given.
    fused = conv_inputs(3, 5, 2)
    lengths = padded([0, 1, 4], 5, fused, "x")
    assert all_finite(*check_conv(conv(lengths=lengths, surrogate=ATan()), fused))


def test_half_precision() -> None:
    tensors = given_inputs(1, 5, 3)
    tensors = {k: v.to(torch.bfloat16) for k, v in tensors.items()}
    got, grads = check(given(), tensors, exact=False)
    assert got["spikes"].dtype == grads["x"].dtype == torch.bfloat16
    assert got["h"].dtype == torch.float32
    fused = conv_inputs(1, 5, 3)
    fused["x"] = fused["x"].to(torch.bfloat16)
    got, grads = check_conv(conv(surrogate=ATan()), fused)
    assert (grads["x"].dtype, grads["weight"].dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3)])
def test_empty_batches_and_sequences(shape: tuple[int, int, int]) -> None:
    got, grads = check(given(), given_inputs(*shape), needs=["h0"])
    assert got["spikes"].shape == shape
    assert grads["h0"].any() == bool(shape[0])
    check_conv(conv(), conv_inputs(*shape), needs=["h0", "inputs"])


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")], ids=str)
def test_a_bad_input_fires_as_in_the_loop(value: float) -> None:
    tensors = given_inputs(1, 6, 3)
    tensors["x"][0, 3, 1] = value
    got, due = (given("spikes")(tensors, impl)["spikes"] for impl in ("triton", "reference"))
    assert torch.equal(got, due)
