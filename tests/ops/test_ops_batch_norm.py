"""Batch normalisation joined to a stream: the compiled kernels against plain torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ops_support import LAYOUTS, Tensors, gradients, laid_out, leaf, normal, uniform
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn import functional as F

from spikescan.models import BatchNorm
from spikescan.ops import batch_norm
from spikescan.ops._core.cpu import BUILT
from tolerance import NORMALISED, assert_close

pytestmark = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")

VARIANCE = {torch.float64: NORMALISED[torch.float32]}  # sums of float32 products
JOINED = ("x", "weight", "bias", "residual")


def inputs(
    batch: int, steps: int, channels: int, dtype: torch.dtype = torch.float32, given: bool = False
) -> Tensors:
    seed = batch + steps + channels
    tensors = {
        "x": normal(batch, steps, channels, seed=seed, dtype=dtype, scale=2, shift=5),
        "weight": normal(channels, seed=seed + 1, dtype=dtype),
        "bias": normal(channels, seed=seed + 2, dtype=dtype),
        "residual": normal(batch, steps, channels, seed=seed + 3, dtype=dtype),
    }
    if given:
        tensors["mean"] = normal(channels, seed=seed + 4, dtype=dtype, shift=5)
        tensors["var"] = uniform(0.5, 4, channels, seed=seed + 5, dtype=dtype)
    return tensors


def check(
    tensors: Tensors, needs: tuple[str, ...] = JOINED, layout: str = "contiguous", **options: Any
) -> tuple[Tensors, Tensors]:
    results = []
    for impl in ("cpu", "reference"):
        leaves = leaf(tensors, needs)
        out, mean, var = batch_norm(**leaves, **options, impl=impl)
        grads = gradients({"out": out}, leaves, layout=layout) if needs else {}
        dtype = tensors["x"].dtype
        results.append(({"out": out, "mean": mean.to(dtype), "var": var.to(dtype)}, grads))
    for got, expected in zip(*results, strict=True):
        assert got.keys() == expected.keys()
        for name, value in expected.items():
            assert_close(got[name], value, NORMALISED, name)
    return results[0]


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("channels", [1, 7, 64, 130])
@pytest.mark.parametrize("shape", [(1, 5), (1, 63), (2, 64), (3, 65), (2, 300)])
def test_shapes(shape: tuple[int, int], channels: int, given: bool) -> None:
    check(inputs(*shape, channels, given=given))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_in_float64(layout: str) -> None:
    tensors = inputs(3, 66, 70, torch.float64)
    for name in ("x", "residual"):
        tensors[name] = laid_out(tensors[name], layout)
    check(tensors, layout=layout)


@pytest.mark.parametrize("needs", [(), ("x",), ("weight", "bias"), ("residual",), ("x", "bias")])
@pytest.mark.parametrize("given", [False, True])
def test_subsets_of_gradients(needs: tuple[str, ...], given: bool) -> None:
    check(inputs(2, 70, 9, given=given), needs)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("joined", [False, True])
def test_lengths_keep_padding_out(joined: bool, given: bool) -> None:
    lengths = torch.tensor([0, 1, 64, 70])
    tensors = inputs(4, 70, 9, given=given)
    padding = torch.arange(70) >= lengths[:, None]
    tensors["x"][padding] = torch.nan
    residual = tensors["residual"]
    needs = JOINED
    if not joined:
        del tensors["residual"]
        needs = JOINED[:3]
    outputs, grads = check(tensors, needs, lengths=lengths)
    beyond = residual[padding] if joined else torch.zeros_like(residual[padding])
    assert torch.equal(outputs["out"][padding], beyond)
    assert not grads["x"][padding].any()
    rows = tensors["x"][~padding]
    if not given:
        assert_close(outputs["mean"], rows.mean(0), NORMALISED)
        assert_close(outputs["var"], rows.var(0, correction=0), NORMALISED)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rows", [None, [0, 1, 64, 70]], ids=["whole", "padded"])
@pytest.mark.parametrize("needs", [("mean",), ("var",), (*JOINED, "mean", "var")], ids=str)
def test_given_statistics_have_gradients(
    needs: tuple[str, ...], rows: list[int] | None, dtype: torch.dtype
) -> None:
    lengths = None if rows is None else torch.tensor(rows)
    tensors = inputs(4, 70, 130, dtype, given=True)
    _, grads = check(tensors, needs, lengths=lengths)
    assert grads.keys() == set(needs)
    assert all(grad.any() for grad in grads.values())


def test_it_is_torch_s() -> None:
    tensors = inputs(3, 70, 9)
    flat = tensors["x"].flatten(0, 1)
    expected = F.batch_norm(flat, None, None, tensors["weight"], tensors["bias"], training=True)
    out = batch_norm(**tensors).out
    assert_close(out, tensors["residual"] + expected.view_as(out), NORMALISED)


def test_a_large_mean_does_not_drown_the_variance() -> None:
    x = normal(2, 500, 3, seed=0, dtype=torch.float64) + 1e4
    one, zero = torch.ones(3), torch.zeros(3)
    got = batch_norm(x.float(), one, zero)
    assert_close(got.var, x.float().double().var((0, 1), correction=0), VARIANCE)


def test_the_layer_has_the_bits_of_the_whole_in_a_step() -> None:
    layer = BatchNorm(9)
    layer(normal(2, 70, 9, seed=1, scale=3, shift=1))
    layer.eval()
    x = normal(2, 70, 9, seed=9)
    assert torch.equal(layer(x[:, 13:14]), layer(x)[:, 13:14])


def test_a_new_length_compiles_nothing() -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(batch_norm, fullgraph=True, dynamic=True, backend=counter)
    compiled(**leaf(inputs(2, 33, 9), JOINED))
    first = counter.frame_count
    for steps in (70, 90, 129):
        leaves = leaf(inputs(2, steps, 9), JOINED)
        got = gradients({"out": compiled(**leaves).out}, leaves)
        expected = gradients({"out": batch_norm(**leaves).out}, leaves)
        for name, value in expected.items():
            assert_close(got[name], value, NORMALISED, name)
    assert counter.frame_count == first


def test_one_valid_step_has_no_statistics() -> None:
    layer = BatchNorm(5)
    with pytest.raises(ValueError, match="more than one valid step, got lengths"):
        layer(torch.ones(2, 6, 5), torch.tensor([1, 0]))
    assert layer.inner.running_var is not None
    assert torch.equal(layer.inner.running_var, torch.ones(5))


def test_auto_is_plain_torch_where_the_kernel_cannot_run() -> None:
    tensors = inputs(2, 6, 5)
    half = {name: t.bfloat16() for name, t in tensors.items()}
    assert batch_norm(**half).out.dtype == torch.bfloat16
    with pytest.raises(ValueError, match=r"impl='cpu' needs all tensors in float32"):
        batch_norm(**half, impl="cpu")


def test_autocast_changes_nothing() -> None:
    tensors = inputs(2, 6, 5)
    plain = batch_norm(**tensors).out
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(batch_norm(**tensors).out, plain)
        half = {name: tensors[name].bfloat16() for name in ("x", "residual")}
        widened = {name: t.float() for name, t in half.items()}
        assert torch.equal(batch_norm(**tensors | half).out, batch_norm(**tensors | widened).out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": torch.ones(4)}, r"weight must have shape \(5,\), got \(4,\)"),
        ({"mean": torch.ones(5)}, "mean and var must both be given"),
        ({"residual": torch.ones(2, 5)}, r"residual must have the shape of x, \(2, 6, 5\)"),
        ({"x": torch.ones(1, 1, 5), "residual": None}, "statistics need more than one step"),
        ({"x": torch.ones(2, 5)}, r"x must have shape \(B, T, D\)"),
    ],
)
def test_errors_name_the_argument(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = inputs(2, 6, 5) | change
    with pytest.raises(ValueError, match=message):
        batch_norm(**arguments)
