"""Dropout, against torch operations and against what it promises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ops_support import normal

from spikescan.ops import dropout
from spikescan.ops._core.cpu import BUILT, call
from spikescan.ops.dropout.contract import ROW

KEY = torch.tensor([5])
needs_kernel = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")


@needs_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1,), (ROW,), (ROW + 1,), (3, 70_000), (2, 300, 7), (0, 4)])
@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("scaled", [True, False])
def test_the_kernel_drops_what_the_reference_drops(
    shape: tuple[int, ...], dtype: torch.dtype, p: float, scaled: bool
) -> None:
    x = normal(*shape, seed=1, dtype=dtype)
    got, expected = (dropout(x, KEY, p, scaled=scaled, impl=i) for i in ("cpu", "reference"))
    assert got.dtype == dtype
    assert torch.equal(got, expected)


@needs_kernel
def test_what_python_and_c_share_is_the_same() -> None:
    assert call.constants("dropout")["ROW"] == ROW


@pytest.mark.parametrize("impl", ["auto", "reference"])
@pytest.mark.parametrize("p", [0.02, 0.1, 0.5, 0.9])
def test_as_many_stay_as_should_and_the_mean_is_kept(impl: Any, p: float) -> None:
    count = 1 << 18
    kept = dropout(torch.ones(count), KEY, p, scaled=False, impl=impl)
    spread = (p * (1 - p) / count) ** 0.5
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert abs(float(kept.mean()) - (1 - p)) < 4 * spread
    assert float(dropout(torch.ones(count), KEY, p, impl=impl).max()) == pytest.approx(1 / (1 - p))
    # Neighbours, and numbers a row apart, know nothing of each other.
    for far in (1, 2, ROW, 8 * ROW):
        both = float((kept[far:] * kept[:-far]).mean())
        assert abs(both - (1 - p) ** 2) < 5 * spread


def test_keys_draw_apart_and_alike() -> None:
    x = torch.ones(1 << 16)
    again, other = dropout(x, KEY.clone(), 0.5), dropout(x, KEY + 1, 0.5)
    assert torch.equal(dropout(x, KEY, 0.5), again)
    assert 0.48 < float((again == other).float().mean()) < 0.52


@needs_kernel
def test_threads_do_not_matter() -> None:
    x = normal(1 << 18, seed=1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = dropout(x, KEY, 0.3)
        torch.set_num_threads(3)
        assert torch.equal(dropout(x, KEY, 0.3), alone)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("impl", ["auto", "reference"])
def test_gradients_go_where_numbers_stay(impl: Any) -> None:
    x = normal(50, 90, seed=1).requires_grad_()
    g = normal(50, 90, seed=2).requires_grad_()
    y = dropout(x, KEY, 0.4, impl=impl)
    (gx,) = torch.autograd.grad(y, x, g, create_graph=True)
    factors = dropout(torch.ones(50, 90), KEY, 0.4)
    torch.testing.assert_close(gx, g * factors, rtol=1e-6, atol=0)
    (gg,) = torch.autograd.grad(gx.sum(), g)
    assert torch.equal(gg, factors)
    assert torch.equal(dropout(x.detach().t(), KEY, 0.4), dropout(x.detach().t().clone(), KEY, 0.4))


def test_what_needs_no_drawing() -> None:
    x = normal(5, 6, seed=1)
    assert torch.equal(dropout(x, KEY, 0.0), x)
    assert torch.equal(dropout(x, KEY, 1.0).abs(), torch.zeros(5, 6))


def test_a_fault_is_not_dropped() -> None:
    x = torch.full((1000,), torch.nan)
    assert dropout(x, KEY, 0.5).isnan().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_drops_the_same(dtype: torch.dtype) -> None:
    x = normal(40, 50, seed=1)
    y = dropout(x.to(dtype), KEY, 0.3)
    assert y.dtype == dtype
    assert torch.equal(y == 0, dropout(x, KEY, 0.3) == 0)


@needs_kernel
def test_compiles() -> None:
    compiled = torch.compile(dropout, fullgraph=True, backend="aot_eager")
    x = normal(40, 50, seed=1).requires_grad_()
    y = compiled(x, KEY, 0.3)
    assert torch.equal(y, dropout(x, KEY, 0.3))
    (g,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(g, dropout(torch.ones(40, 50), KEY, 0.3))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"p": -0.1}, ValueError, r"p must be within 0 \.\. 1, got -0\.1"),
        ({"p": float("nan")}, ValueError, r"p must be within 0 \.\. 1, got nan"),
        ({"key": torch.ones(2, dtype=torch.int64)}, ValueError, r"key must be int64 of shape \(1,"),
        ({"key": torch.ones(1)}, ValueError, r"key must be int64 of shape \(1,\), got .*float32"),
        ({"x": torch.ones(3, dtype=torch.int32)}, TypeError, "int32"),
        ({"impl": "fast"}, ValueError, "impl must be 'auto' or one of"),
    ],
)
def test_errors_name_the_argument(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        dropout(**{"x": torch.ones(3), "p": 0.5, "key": KEY} | change)
