"""Scaled Bernoulli spikes: the kernel against the same spikes of an input scaled before."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ops_support import normal, uniform
from torch import Tensor

from spikescan.ops import bernoulli, bernoulli_affine
from spikescan.ops._core.cpu import BUILT
from spikescan.ops.bernoulli import fresh_keys

needs_kernel = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")


def inputs(
    batch: int, steps: int, channels: int, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(batch + steps + channels)
    return {
        "x": uniform(-0.6, 1.6, batch, steps, channels, seed=1).to(dtype),
        "gain": normal(channels, seed=2, dtype=dtype),
        "bias": uniform(-0.3, 0.8, channels, seed=3, dtype=dtype),
        "key": fresh_keys(batch, 1, torch.device("cpu"), generator)[:, 0],
        "start": torch.arange(batch) * 1000,
    }


def gradients(impl: Any, given: dict[str, Any], g: Tensor, **options: Any) -> tuple[Tensor, ...]:
    leaves = {k: given[k].detach().clone().requires_grad_() for k in ("x", "gain", "bias")}
    s = bernoulli_affine(**given | leaves, **options, impl=impl)
    return s.detach(), *torch.autograd.grad(s, list(leaves.values()), g)


@needs_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("channels", [1, 16, 127, 128, 129, 300])
@pytest.mark.parametrize("steps", [0, 1, 67, 200])
@pytest.mark.parametrize("lengths", [None, (0, 1, 50)], ids=["whole", "lengths"])
def test_kernel_equals_reference(
    steps: int, channels: int, dtype: torch.dtype, lengths: tuple[int, ...] | None
) -> None:
    given = inputs(3, steps, channels, dtype)
    valid = None if lengths is None else torch.tensor(lengths).clamp(max=steps)
    g = normal(3, steps, channels, seed=4, dtype=dtype)
    due = gradients("reference", given, g, lengths=valid)
    got = gradients("cpu", given, g, lengths=valid)
    assert torch.equal(got[0], due[0])
    assert torch.equal(got[1], due[1])
    for mine, theirs in zip(got[2:], due[2:], strict=True):
        scale = float(theirs.abs().max()) + 1 if theirs.numel() else 1.0
        torch.testing.assert_close(mine / scale, theirs / scale, rtol=0, atol=1e-5)


@needs_kernel
@pytest.mark.parametrize("impl", ["cpu", "reference"])
def test_the_spikes_are_those_of_bernoulli(impl: Any) -> None:
    given = inputs(4, 90, 130)
    v = given["gain"] * given["x"] + given["bias"]
    due = bernoulli(v, given["key"], given["start"])
    assert torch.equal(bernoulli_affine(**given, impl=impl), due)
    assert 0.2 < float(due.mean()) < 0.8


@needs_kernel
@pytest.mark.parametrize("impl", ["cpu", "reference"])
def test_what_lies_beyond_the_lengths_is_not_looked_at(impl: Any) -> None:
    given = inputs(3, 40, 33)
    lengths, g = torch.tensor([0, 7, 40]), normal(3, 40, 33, seed=4)
    expected = gradients(impl, given, g, lengths=lengths)
    beyond = torch.arange(40) >= lengths[:, None]
    given["x"] = given["x"].masked_fill(beyond.unsqueeze(-1), torch.nan)
    got = gradients(impl, given, g, lengths=lengths)
    for mine, due in zip(got, expected, strict=True):
        assert torch.equal(mine, due)
    assert not got[0][beyond].any()


@needs_kernel
@pytest.mark.parametrize("impl", ["cpu", "reference"])
def test_the_gradient_is_that_of_the_clamp_with_both_ends(impl: Any) -> None:
    x = torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5])[None, :, None]
    given = {
        "x": x, "gain": torch.ones(1), "bias": torch.zeros(1),
        "key": torch.tensor([3]), "start": torch.tensor([0]),
    }  # fmt: skip
    _, gx, ggain, gbias = gradients(impl, given, torch.ones_like(x))
    assert gx.flatten().tolist() == [0, 1, 1, 1, 0]
    assert (ggain.item(), gbias.item()) == (1.5, 3)


@needs_kernel
@pytest.mark.parametrize("impl", ["cpu", "reference"])
def test_nan_stays(impl: Any) -> None:
    given = inputs(2, 30, 20)
    given["x"][1, 3, 5] = torch.nan
    spikes = bernoulli_affine(**given, impl=impl)
    assert spikes[1, 3, 5].isnan()
    assert spikes.isnan().sum() == 1


@needs_kernel
def test_under_autocast_it_is_in_the_dtype_of_the_gain() -> None:
    given = inputs(2, 30, 20)
    due = bernoulli_affine(**given | {"x": given["x"].bfloat16().float()})
    with torch.autocast("cpu", torch.bfloat16):
        got = bernoulli_affine(**given | {"x": given["x"].bfloat16()})
    assert torch.equal(got, due)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": torch.ones(2, 3)}, ValueError, r"x must have shape \(B, T, D\), got \(2, 3\)"),
        ({"gain": torch.ones(3)}, ValueError, r"gain must have shape \(4,\), got \(3,\)"),
        ({"gain": torch.ones(4, dtype=torch.int64)}, TypeError, "gain must be floating-point, got"),
        ({"bias": torch.ones(4, 1)}, ValueError, r"bias must have shape \(4,\), got \(4, 1\)"),
        ({"key": torch.ones(3, dtype=torch.int64)}, ValueError, r"key must be int64 of shape \(2,"),
        ({"start": torch.ones(2)}, ValueError, r"start must be int64 of shape \(2,\).*float32"),
        ({"lengths": torch.tensor([1])}, ValueError, "lengths"),
        ({"impl": "fast"}, ValueError, "impl must be 'auto' or one of"),
    ],
)
def test_errors_name_the_argument(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        bernoulli_affine(**inputs(2, 3, 4) | change)
