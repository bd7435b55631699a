"""The linear scan and the oscillator on Triton, in one segment and in several, against the loop."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import torch

pytest.importorskip("triton")

from ops_support import (
    ALL_SURROGATES,
    Tensors,
    flat,
    laid_out,
    normal,
    scan_outputs,
    scan_state,
    uniform,
)
from torch import Tensor
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

from spikescan.ops import linear_scan, resonate
from spikescan.ops._core.triton import segments
from spikescan.ops.resonate import PRFState
from spikescan.ops.surrogate import Surrogate

needs_interpreter()
# Nearly all that runs here is Triton's interpreter, which counting lines slows twofold.
pytestmark = pytest.mark.no_cover

KINDS = [(c, p) for c in (False, True) for p in (False, True)]
KIND = pytest.mark.parametrize(
    ("is_complex", "per_step"), KINDS, ids=["real", "real per step", "complex", "complex per step"]
)


@pytest.fixture(autouse=True, params=[ONE_SEGMENT, SEGMENTS], ids=["one segment", "segments"])
def many_lanes(request: pytest.FixtureRequest) -> Iterator[int]:
    with small_and_poisoned(request.param):
        yield request.param


def scan_inputs(
    batch: int,
    steps: int,
    channels: int,
    is_complex: bool = False,
    per_step: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Tensors:
    seed = 1000 * batch + 10 * steps + channels
    shape = (batch, steps, channels) if per_step else (channels,)
    a = uniform(0.5, 0.99, *shape, seed=seed, dtype=dtype)
    parts = [normal(batch, steps, channels, seed=seed + k, dtype=dtype) for k in (1, 2)]
    starts = [normal(batch, channels, seed=seed + k, dtype=dtype) for k in (3, 4)]
    if not is_complex:
        return {"a": a, "b": parts[0], "h0": starts[0]}
    a = torch.polar(a, 3 * uniform(0, 1, *shape, seed=seed + 5, dtype=dtype))
    return {"a": a, "b": torch.complex(*parts), "h0": torch.complex(*starts)}


def scan(lengths: Tensor | None = None) -> Any:
    def run(t: Tensors, impl: str) -> Tensors:
        out = linear_scan(t["a"], t["b"], scan_state(t.get("h0")), lengths=lengths, impl=impl)  # type: ignore[arg-type]
        return scan_outputs(out)

    return run


def oscillator_inputs(
    batch: int, steps: int, channels: int, dtype: torch.dtype = torch.float32, state: bool = True
) -> Tensors:
    seed = 1000 * batch + 10 * steps + channels
    tensors = {
        "x": normal(batch, steps, channels, seed=seed, dtype=dtype, shift=0.3),
        "delta": uniform(0.2, 1, channels, seed=seed + 1, dtype=dtype),
        "theta": uniform(0, 3, channels, seed=seed + 2, dtype=dtype),
    }
    if state:
        tensors["u"] = normal(batch, channels, seed=seed + 3, dtype=dtype)
        tensors["r"] = normal(batch, channels, seed=seed + 4, dtype=dtype)
    return tensors


def oscillate(outputs: str = "spikes membrane u r", **options: Any) -> Any:
    names = outputs.split()

    def run(t: Tensors, impl: str) -> Tensors:
        out = resonate(
            t["x"], t["delta"], t["theta"], PRFState(t["u"], t["r"]) if "u" in t else None, tau=4.0,
            return_membrane="membrane" in names, impl=impl, **options,
        )  # type: ignore[arg-type]  # fmt: skip
        return {name: flat(out)[name] for name in names}

    return run


COEFFICIENTS = ("delta", "theta")


@KIND
@pytest.mark.parametrize("steps", EDGES)
def test_scan_shapes(steps: int, is_complex: bool, per_step: bool, many_lanes: int) -> None:
    tensors = scan_inputs(1 + steps % 2, steps, 3, is_complex, per_step)
    exact = many_lanes == ONE_SEGMENT and not is_complex
    check(scan(), tensors, summed=["a"], exact=exact)


def test_scan_of_several_blocks_of_channels(many_lanes: int) -> None:
    tensors = scan_inputs(1, 3, 40)
    del tensors["h0"]
    check(scan(), tensors, summed=["a"], exact=many_lanes == ONE_SEGMENT)


@KIND
def test_scan_lengths(is_complex: bool, per_step: bool, many_lanes: int) -> None:
    tensors = scan_inputs(3, 5, 2, is_complex, per_step)
    names = ("a", "b") if per_step else ("b",)
    lengths = padded([0, 1, 4], 5, tensors, *names)
    exact = many_lanes == ONE_SEGMENT and not is_complex
    got, grads = check(scan(lengths), tensors, summed=["a"], exact=exact)
    assert all_finite(got, grads)


@pytest.mark.parametrize(
    ("layout", "is_complex"),
    [("time first", True), ("every other", True), ("over time", False), ("everywhere", False)],
)
def test_scan_layouts(layout: str, is_complex: bool) -> None:
    tensors = scan_inputs(2, 3, 3, is_complex, per_step=True)
    tensors["a"], tensors["b"] = (laid_out(tensors[k], layout) for k in "ab")
    check(scan(), tensors, summed=["a"], layout=layout, exact=False)


@pytest.mark.parametrize("needs", [c for n in (1, 2) for c in combinations(("a", "b", "h0"), n)])
def test_scan_requires_grad_subsets(needs: tuple[str, ...]) -> None:
    _, grads = check(scan(), scan_inputs(1, 4, 2), needs=needs, summed=["a"], exact=False)
    assert set(grads) == set(needs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("per_step", [False, True], ids=["constant", "per step"])
def test_scan_dtypes(per_step: bool, dtype: torch.dtype) -> None:
    tensors = {k: v.to(dtype) for k, v in scan_inputs(1, 5, 3, per_step=per_step).items()}
    # The kernel keeps the states in the dtype that it returns: bfloat16 ones round its gradients.
    half = {torch.bfloat16: torch.float32}.get(dtype, dtype)
    outputs = scan()(tensors, "triton")
    due = scan()({k: v.to(half) for k, v in tensors.items()}, "reference")
    assert outputs["h"].dtype == dtype
    assert outputs["last"].dtype == half
    torch.testing.assert_close(outputs["last"], due["last"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(outputs["h"].to(half), due["h"], rtol=2**-7, atol=1e-6)
    if dtype == torch.float64:
        check(scan(), tensors, summed=["a"], exact=False)


def test_scan_of_a_bfloat16_input_with_float32_multipliers() -> None:
    tensors = scan_inputs(1, 5, 3)
    tensors["b"] = tensors["b"].to(torch.bfloat16)
    got, grads = check(scan(), tensors, summed=["a"], exact=False)
    assert got["h"].dtype == torch.float32
    assert grads["b"].dtype == torch.bfloat16


@pytest.mark.parametrize("state", [True, False], ids=["state", "rest"])
@pytest.mark.parametrize("steps", EDGES)
def test_oscillator_shapes(steps: int, state: bool, many_lanes: int) -> None:
    tensors = oscillator_inputs(1 + steps % 2, steps, 3 if steps != 3 else 40, state=state)
    exact = many_lanes == ONE_SEGMENT
    check(oscillate(), tensors, summed=COEFFICIENTS, exact=exact)


@pytest.mark.parametrize("function", ALL_SURROGATES, ids=lambda s: type(s).__name__)
def test_oscillator_surrogates(function: Surrogate, many_lanes: int) -> None:
    run = oscillate(surrogate=function, threshold=0.7)
    tensors = oscillator_inputs(1, 2 * SPAN + 1, 3, torch.float64)
    check(run, tensors, summed=COEFFICIENTS, exact=many_lanes == ONE_SEGMENT)


def test_oscillator_thresholds_of_each_channel(many_lanes: int) -> None:
    tensors = oscillator_inputs(2, 2 * SPAN + 1, 3, torch.float64)
    tensors["threshold"] = uniform(0.1, 0.6, 3, seed=5, dtype=torch.float64)

    def run(t: Tensors, impl: str) -> Tensors:
        return oscillate(threshold=t["threshold"])(t, impl)

    exact = many_lanes == ONE_SEGMENT
    check(run, tensors, summed=(*COEFFICIENTS, "threshold"), exact=exact)


def test_oscillator_lengths(many_lanes: int) -> None:
    tensors = oscillator_inputs(3, 5, 2)
    lengths = padded([0, 1, 4], 5, tensors, "x")
    run = oscillate(lengths=lengths)
    exact = many_lanes == ONE_SEGMENT
    assert all_finite(*check(run, tensors, summed=COEFFICIENTS, exact=exact))


@pytest.mark.parametrize("layout", ["time first", "channels last but one", "over batch"])
def test_oscillator_layouts(layout: str) -> None:
    tensors = oscillator_inputs(2, 3, 3)
    tensors["x"] = laid_out(tensors["x"], layout)
    check(oscillate(), tensors, summed=COEFFICIENTS, layout=layout, exact=False)


@pytest.mark.parametrize("needs", [("x",), ("theta", "u")], ids="+".join)
@pytest.mark.parametrize("outputs", ["spikes", "membrane", "u", "r"])
def test_oscillator_requires_grad_subsets(needs: tuple[str, ...], outputs: str) -> None:
    run = oscillate(outputs)
    check(run, oscillator_inputs(1, 3, 2), needs=needs, summed=COEFFICIENTS, exact=False)


def test_oscillator_in_half_precision() -> None:
    tensors = oscillator_inputs(1, 5, 3)
    tensors["x"] = tensors["x"].to(torch.bfloat16)
    got, grads = check(oscillate(), tensors, summed=COEFFICIENTS, exact=False)
    assert got["spikes"].dtype == grads["x"].dtype == torch.bfloat16
    assert got["u"].dtype == torch.float32


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3)])
def test_empty_batches_and_sequences(shape: tuple[int, int, int]) -> None:
    tensors = scan_inputs(*shape)
    got, grads = check(scan(), tensors, needs=["h0"])
    assert got["h"].shape == shape
    assert torch.equal(got["last"], tensors["h0"])
    got, grads = check(oscillate(), oscillator_inputs(*shape), needs=["u", "r"])
    assert grads["u"].any() == grads["r"].any() == bool(shape[0])


def test_segments_are_a_function_of_the_shape_alone() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "MANY_LANES", 1 << 15)
        patch.setattr(segments, "SHORTEST", 128)

        def cut(*shape: int, is_complex: bool = False) -> tuple[int, int]:
            found = segments.split(torch.empty(shape, device="meta"), is_complex, 16)
            assert found.number * found.length >= shape[1] > (found.number - 1) * found.length
            return found.number, found.length

        assert cut(64, 16384, 128) == (1, 16384)
        assert cut(8, 100, 8) == (1, 128)
        assert cut(1, 65536, 128) == (256, 256)
        assert cut(1, 65536, 256, is_complex=True) == (256, 256)
        assert cut(1, 1000, 1) == (8, 128)
        assert cut(1, 1 << 20, 1)[0] == 8192
