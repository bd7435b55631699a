"""Spikes without memory: the compiled kernel against plain torch."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from ops_support import (
    ALL_SURROGATES,
    EXPANDED,
    LAYOUTS,
    Run,
    Tensors,
    check_against_reference,
    gradients,
    laid_out,
    leaf,
    normal,
)

from spikescan.ops import lif, spike
from spikescan.ops.surrogate import Surrogate


def runner(threshold: float = 0.5, **options: Any) -> Run:
    def run(t: Tensors, impl: str) -> Tensors:
        return {"spikes": spike(t["x"], threshold, impl=impl, **options)}

    return run


def inputs(*shape: int, dtype: torch.dtype = torch.float32) -> Tensors:
    return {"x": normal(*shape, seed=sum(shape), dtype=torch.float64).to(dtype)}


@pytest.mark.parametrize("channels", [1, 7, 64, 130])
@pytest.mark.parametrize("steps", [1, 63, 64, 65, 1000])
def test_shapes(steps: int, channels: int) -> None:
    tensors = inputs(1 + channels % 3, steps, channels)
    outputs, _ = check_against_reference(runner(), tensors)
    assert torch.equal(outputs["spikes"], (tensors["x"] >= 0.5).float())


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str
)
@pytest.mark.parametrize("function", ALL_SURROGATES, ids=lambda s: type(s).__name__)
def test_surrogates(function: Surrogate, dtype: torch.dtype) -> None:
    run = runner(surrogate=function)
    outputs, grads = check_against_reference(run, inputs(2, 70, 7, dtype=dtype))
    assert outputs["spikes"].dtype == grads["x"].dtype == dtype


@pytest.mark.parametrize("layout", [*LAYOUTS, *EXPANDED])
def test_layouts(layout: str) -> None:
    tensors = inputs(3, 66, 70)
    tensors["x"] = laid_out(tensors["x"], layout)
    check_against_reference(runner(), tensors, layout=layout)


def test_lengths_keep_padding_out() -> None:
    lengths = torch.tensor([0, 1, 64, 70])
    tensors = inputs(4, 70, 5)
    padding = torch.arange(70) >= lengths[:, None]
    tensors["x"][padding] = torch.nan
    for function in ALL_SURROGATES:
        run = runner(-0.5, lengths=lengths, surrogate=function)
        outputs, grads = check_against_reference(run, tensors)
        assert not outputs["spikes"][padding].any()
        assert not grads["x"][padding].any()
        assert grads["x"][~padding].isfinite().all()


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3)])
def test_empty_batches_and_sequences(shape: tuple[int, int, int]) -> None:
    outputs, grads = check_against_reference(runner(), inputs(*shape))
    assert outputs["spikes"].shape == grads["x"].shape == shape


def test_a_tie_fires() -> None:
    values = [0.7, math.nextafter(0.7, 0), -0.0, 0.0]
    x = torch.tensor(values, dtype=torch.float64).reshape(1, 4, 1)
    for impl in ("cpu", "reference"):
        assert spike(x, 0.7, impl=impl).flatten().tolist() == [1, 0, 0, 0]
        assert spike(x, 0.0, impl=impl).flatten().tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("function", ALL_SURROGATES, ids=lambda s: type(s).__name__)
def test_bad_inputs_touch_nothing_else(function: Surrogate) -> None:
    """+inf fires, -inf does not, NaN stays NaN, and no gradient elsewhere is lost."""
    tensors = inputs(2, 70, 5)
    for step, value in ((10, torch.nan), (30, torch.inf), (66, -torch.inf)):
        tensors["x"][1, step, 2] = value
    results = []
    for impl in ("cpu", "reference"):
        leaves = leaf(tensors, ["x"])
        outputs = runner(surrogate=function)(leaves, impl)
        results.append((outputs["spikes"], gradients(outputs, leaves)["x"]))
    assert results[0][0][1, 10, 2].isnan()
    assert results[0][0][1, [30, 66], 2].tolist() == [1, 0]
    torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=0, equal_nan=True)
    assert torch.equal(results[0][1].isnan(), results[1][1].isnan())
    assert results[0][1].isnan().sum() <= 1


@pytest.mark.parametrize("impl", ["cpu", "reference"])
def test_it_is_lif_that_forgets_at_each_step(impl: str) -> None:
    x = inputs(2, 90, 7)["x"]
    forgetful = lif(x, 0.0, threshold=0.5, reset="none", impl=impl)
    assert torch.equal(spike(x, 0.5, impl=impl), forgetful.spikes)


@pytest.mark.parametrize("impl", ["cpu", "reference"])
def test_a_threshold_of_each_channel_learns(impl: str) -> None:
    tensors = {"x": inputs(2, 70, 5)["x"], "threshold": torch.linspace(-0.5, 0.5, 5)}
    lengths = torch.tensor([70, 30])
    leaves = leaf(tensors, tensors)
    out = spike(leaves["x"], leaves["threshold"], lengths=lengths, impl=impl)
    inside = (torch.arange(70) < lengths[:, None])[..., None]
    assert torch.equal(out, ((tensors["x"] >= tensors["threshold"]) & inside).float())
    grads = gradients({"spikes": out}, leaves)
    expected = -grads["x"].double().sum((0, 1)).float()
    torch.testing.assert_close(grads["threshold"], expected, rtol=1e-5, atol=1e-6)
    assert grads["threshold"].all()
