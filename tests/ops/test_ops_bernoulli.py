"""Bernoulli spikes: the compiled kernel against the same hash in torch operations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ops_support import uniform as numbers
from torch import Tensor

from spikescan.ops import bernoulli
from spikescan.ops._core.cpu import BUILT
from spikescan.ops.bernoulli import fresh_keys
from spikescan.ops.bernoulli.reference import uniform

needs_kernel = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")


def inputs(
    batch: int, steps: int, channels: int, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(batch + steps + channels)
    return {
        "v": numbers(-0.2, 1.2, batch, steps, channels, seed=1).to(dtype),
        "key": fresh_keys(batch, 1, torch.device("cpu"), generator)[:, 0],
        "start": torch.arange(batch) * 1000,
    }


@needs_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("channels", [1, 16, 127, 128, 129, 300])
@pytest.mark.parametrize("steps", [0, 1, 67])
@pytest.mark.parametrize("batch", [1, 3])
def test_kernel_equals_reference(batch: int, steps: int, channels: int, dtype: torch.dtype) -> None:
    tensors = inputs(batch, steps, channels, dtype)
    for draws in (1, 3):
        expected = bernoulli(**tensors, draws=draws, impl="reference")
        got = bernoulli(**tensors, draws=draws, impl="cpu")
        assert got.dtype == expected.dtype == dtype
        assert torch.equal(got, expected)


@needs_kernel
def test_any_strides_and_keys() -> None:
    tensors = inputs(4, 50, 40)
    tensors["key"][0], tensors["start"][1] = -(2**62), 2**40
    for v in (tensors["v"].transpose(1, 2).contiguous().transpose(1, 2), tensors["v"][..., ::2]):
        assert not v.is_contiguous()
        some = tensors | {"v": v}
        assert torch.equal(bernoulli(**some, impl="cpu"), bernoulli(**some, impl="reference"))


@needs_kernel
@pytest.mark.parametrize("impl", ["cpu", "reference"])
def test_ties_and_bad_numbers_never_fire(impl: Any) -> None:
    tensors = inputs(2, 30, 20)
    u = uniform(tensors["key"], tensors["start"], 30, 20)
    above = torch.nextafter(u, torch.tensor(2.0))
    for v, fires in ((u, 0.0), (above, 1.0), (u * torch.nan, 0.0)):
        assert bool((bernoulli(**tensors | {"v": v}, impl=impl) == fires).all())


@needs_kernel
def test_compiles() -> None:
    tensors = inputs(2, 30, 20)
    compiled = torch.compile(bernoulli, fullgraph=True, backend="aot_eager")
    v = tensors["v"].requires_grad_()
    s = compiled(**tensors)
    assert torch.equal(s, bernoulli(**tensors))
    (g,) = torch.autograd.grad(s.sum(), v)
    assert torch.equal(g, ((v >= 0) & (v <= 1)).float())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"v": torch.ones(2, 3)}, ValueError, r"v must have shape \(B, T, D\), got \(2, 3\)"),
        ({"key": torch.ones(3, dtype=torch.int64)}, ValueError, r"key must be int64 of shape \(2,"),
        ({"start": torch.ones(2)}, ValueError, r"start must be int64 of shape \(2,\).*float32"),
        ({"draws": 0}, ValueError, "draws must be at least 1, got 0"),
        ({"impl": "fast"}, ValueError, "impl must be 'auto' or one of"),
    ],
)
def test_errors_name_the_argument(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        bernoulli(**inputs(2, 3, 4) | change)
