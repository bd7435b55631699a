"""The product of spikes: the compiled kernel against the dense product."""

from __future__ import annotations

import sys
from typing import Any, Literal

import pytest
import torch
from ops_support import Tensors, check_gradients, gradients, leaf, normal, uniform
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from spikescan.models import SpikeLinear
from spikescan.ops import spike_linear
from spikescan.ops._core import cpu, validate
from spikescan.ops._core.cpu import BUILT
from tolerance import PRODUCT, assert_close

pytestmark = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")

NEEDS = ("s", "weight", "bias")
FEW = 4  # the C source's FEW: up to so many rows take a way of their own


def inputs(
    *rows: int, k: int, m: int, rate: float = 0.3, dtype: torch.dtype = torch.float32, top: int = 1
) -> Tensors:
    seed = sum(rows) + k + m
    fired = uniform(0, 1, *rows, k, seed=seed) < rate
    return {
        "s": (fired * uniform(1, top + 1, *rows, k, seed=seed + 1).floor()).to(dtype),
        "weight": normal(m, k, seed=seed + 2, dtype=dtype),
        "bias": normal(m, seed=seed + 3, dtype=dtype),
    }


def differentiated(tensors: Tensors, needs: tuple[str, ...], g: Tensor, impl: Any) -> Tensors:
    leaves = leaf(tensors, needs)
    y = spike_linear(**leaves, impl=impl)
    grads = torch.autograd.grad(y, [leaves[name] for name in needs], g) if needs else ()
    return {"y": y.detach()} | dict(zip(needs, grads, strict=True))


def check(tensors: Tensors, needs: tuple[str, ...] = NEEDS) -> Tensor:
    """Within the table's share of the largest sum of sizes: terms of a sum may cancel."""
    g = normal(*tensors["s"].shape[:-1], len(tensors["bias"]), seed=9, dtype=tensors["s"].dtype)
    got = differentiated(tensors, needs, g, "cpu")
    sizes = {name: t.abs() for name, t in tensors.items()}
    largest = differentiated(sizes, needs, g.abs(), "reference")
    for name, expected in differentiated(tensors, needs, g, "reference").items():
        assert got[name].dtype == expected.dtype
        assert got[name].shape == expected.shape
        if expected.numel():
            allowed = PRODUCT[expected.dtype].relative * float(largest[name].max())
            assert float((got[name] - expected).abs().max()) <= allowed, name
    return got["y"]


@pytest.mark.parametrize("m", [1, 10, 63, 64, 65, 130])
@pytest.mark.parametrize("k", [1, 63, 64, 65, 130])
@pytest.mark.parametrize("rows", [1, FEW, FEW + 1, 63, 64, 65, 300])
def test_shapes(rows: int, k: int, m: int) -> None:
    check(inputs(rows, k=k, m=m))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rate", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("top", [1, 4])
def test_rates_and_whole_numbers(top: int, rate: float, dtype: torch.dtype) -> None:
    check(inputs(3, 70, k=70, m=40, rate=rate, dtype=dtype, top=top))


def test_any_numbers_are_right() -> None:
    tensors = inputs(200, k=70, m=40)
    tensors["s"] = normal(200, 70, seed=1)
    check(tensors)


def test_many_chunks_of_rows() -> None:
    """Each chunk sums its part of the weight's gradient; 6,500 rows are four of them."""
    check(inputs(6_500, k=70, m=100))


MANY = 4_100  # rows that have the product of our own, and are whole tiles of none


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("m", [1, 33, 64, 130])
@pytest.mark.parametrize("k", [1, 15, 64, 65, 130])
def test_gradient_of_many_rows(k: int, m: int, dtype: torch.dtype) -> None:
    check(inputs(MANY, k=k, m=m, dtype=dtype), ("s",))


def spikes_gradient(weight: Tensor, g: Tensor, *, mixed: bool) -> Tensor:
    s = torch.zeros(len(g), weight.shape[1], dtype=g.dtype, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        y = spike_linear(s, weight)
    return torch.autograd.grad(y, s, g)[0]


@pytest.mark.parametrize("tiles", [True, False])
@pytest.mark.parametrize("m", [1, 31, 33, 64, 130, 1_025])
@pytest.mark.parametrize("k", [1, 65, 130])
def test_gradient_of_many_rows_in_half_precision(
    k: int, m: int, tiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both factors are rounded, and nothing else; also where tiles are not lent."""
    if not tiles:
        if cpu.bfloat16() != "tiles":
            pytest.skip("this processor has none")
        monkeypatch.setattr(
            sys.modules["spikescan.ops.spike_linear.cpu"], "bfloat16", lambda: "vectors"
        )
    weight, g = normal(m, k, seed=1), normal(MANY, m, seed=2)
    got = spikes_gradient(weight, g, mixed=True)
    factors = [t.bfloat16() if validate.FAST_BFLOAT16 else t for t in (g, weight)]
    expected, largest = factors[0].double() @ factors[1].double(), g.abs() @ weight.abs()
    # Torch's own product, which is taken for the longest sums, rounds what it gives, too.
    error = 2**-8 if m > 1_024 else PRODUCT[torch.float32].relative
    assert got.dtype == torch.float32
    assert float((got - expected).abs().max()) <= error * float(largest.max())


@pytest.mark.parametrize("needs", [("weight",), ("bias",), ("s", "weight", "bias")], ids=str)
@pytest.mark.parametrize("m", [1, 17, 33, 64, 130])
@pytest.mark.parametrize("k", [1, 31, 65, 130, 1_025])
def test_what_is_learned_of_many_rows_in_half_precision(
    k: int, m: int, needs: tuple[str, ...]
) -> None:
    """Gradients of weight and bias are those of float32, whole numbers among the spikes or not."""
    tensors = inputs(MANY, k=k, m=m)
    tensors["s"][1_000:1_002] *= 3
    g = normal(MANY, m, seed=9)
    leaves = leaf(tensors, needs)
    with torch.autocast("cpu", torch.bfloat16):
        y = spike_linear(**leaves)
    got = torch.autograd.grad(y, [leaves[name] for name in needs], g)
    plain = differentiated(tensors, needs, g, "reference")
    largest = differentiated(tensors, needs, g.abs(), "reference")
    for name, gradient in zip(needs, got, strict=True):
        if name != "s":
            allowed = PRODUCT[torch.float32].relative * float(largest[name].max())
            assert float((gradient - plain[name]).abs().max()) <= allowed, name


@pytest.mark.parametrize("mixed", [False, True])
def test_gradients_do_not_depend_on_other_rows(mixed: bool) -> None:
    weight, g = normal(40, 70, seed=1), normal(2 * MANY, 40, seed=2)
    g[3, 3] = torch.nan
    whole = spikes_gradient(weight, g, mixed=mixed)
    part = spikes_gradient(weight, g[:MANY], mixed=mixed)
    assert whole[3].isnan().all()
    assert whole.isnan().sum() == 70
    if cpu.level() == "avx512":  # elsewhere torch multiplies, and promises nothing
        assert torch.equal(whole[4:MANY], part[4:])


@pytest.mark.parametrize("needs", [(), ("s",), ("weight",), ("bias",), ("s", "bias")])
def test_subsets_of_gradients(needs: tuple[str, ...]) -> None:
    check(inputs(2, 70, k=9, m=5), needs)


def test_without_bias_and_with_leading_dimensions() -> None:
    tensors = inputs(2, 3, 5, k=9, m=4)
    y = spike_linear(tensors["s"], tensors["weight"])
    assert y.shape == (2, 3, 5, 4)
    expected = tensors["s"] @ tensors["weight"].t()
    assert_close(y, expected, PRODUCT)
    assert spike_linear(tensors["s"][0, 0, 0], tensors["weight"]).shape == (4,)


def test_layouts() -> None:
    tensors = inputs(70, k=66, m=40)
    tensors["s"] = tensors["s"].t().contiguous().t()
    tensors["weight"] = tensors["weight"].repeat(1, 2)[:, ::2]
    assert not tensors["s"].is_contiguous()
    assert not tensors["weight"].is_contiguous()
    check(tensors)
    leaves = leaf(tensors, NEEDS)
    spike_linear(**leaves).mean().backward()  # a gradient of one number, expanded
    assert leaves["weight"].grad is not None
    assert_close(leaves["weight"].grad, tensors["s"].sum(0).expand(40, -1) / 2800, PRODUCT)


@pytest.mark.parametrize("shape", [(0, 7), (2, 0, 7)])
def test_no_rows(shape: tuple[int, ...]) -> None:
    tensors = inputs(*shape[:-1], k=7, m=3)
    assert check(tensors).shape == (*shape[:-1], 3)


@pytest.mark.parametrize(("top", "kept"), [(1, 0), (4, 1)], ids=["ones", "whole numbers"])
def test_of_zeros_and_ones_only_bits_are_kept(top: int, kept: int) -> None:
    tensors = inputs(300, k=130, m=70, top=top)
    saved = []
    leaves = leaf(tensors, NEEDS)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.append(t.shape) or t, lambda t: t
    ):
        y = spike_linear(**leaves)
    assert saved.count(tensors["s"].shape) == kept
    assert (300, 3) in saved
    y.sum().backward()
    assert leaves["weight"].grad is not None
    assert_close(leaves["weight"].grad, tensors["s"].sum(0).expand(70, -1), PRODUCT)


def test_odd_rows_among_others() -> None:
    """One number that is neither zero nor one changes the way of its row, and of no other."""
    tensors = inputs(300, k=70, m=40)
    before = spike_linear(**tensors)
    tensors["s"][70, 5], tensors["s"][299, 69] = 0.5, -3
    after = check(tensors)
    same = (before == after).all(1)
    assert same.sum() == 298
    assert not same[70]
    assert not same[299]


@pytest.mark.parametrize("k", [64 * 33, 64 * 70 + 1])
def test_many_inputs(k: int) -> None:
    """More than the bits of 2,048 inputs are turned over in parts."""
    check(inputs(130, k=k, m=33))
    check(inputs(130, k=k, m=33, top=3))


@pytest.mark.parametrize("top", [1, 4])
def test_a_row_has_the_same_bits_alone_and_among_others(top: int) -> None:
    tensors = inputs(300, k=130, m=70, top=top)
    whole = spike_linear(**tensors)
    for rows in (1, 3, 5, 64, 77):
        s = tensors["s"][100 : 100 + rows]
        part = spike_linear(s, tensors["weight"], tensors["bias"])
        assert torch.equal(part, whole[100 : 100 + rows]), rows


def test_the_gradient_does_not_depend_on_threads() -> None:
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            leaves = leaf(inputs(6_500, k=70, m=100), ["weight", "bias"])
            outputs = {"y": spike_linear(**leaves)}
            results.append(gradients(outputs, leaves))
    finally:
        torch.set_num_threads(before)
    for name in ("weight", "bias"):
        assert torch.equal(results[0][name], results[1][name])


def test_bad_numbers_stay_where_they_are() -> None:
    """NaN in a weight or a gradient counts where there is a spike; NaN in a row, in that row."""
    tensors = inputs(80, k=70, m=5)
    tensors["weight"][2, 7] = torch.nan
    tensors["s"][11, 3] = torch.nan
    for rows in (slice(None), slice(10, 12)):
        s = tensors["s"][rows]
        bad = spike_linear(s, tensors["weight"], tensors["bias"]).isnan()
        expected = s.isnan().any(-1, keepdim=True).repeat(1, 5)
        expected[:, 2] |= s[:, 7] != 0
        assert torch.equal(bad, expected)


def test_a_new_number_of_rows_compiles_nothing() -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(spike_linear, fullgraph=True, dynamic=True, backend=counter)
    for rows in (70, 90, 110):
        fresh = leaf(inputs(2, rows, k=9, m=5), NEEDS)
        got = gradients({"y": compiled(**fresh)}, fresh)
        check_gradients(got, gradients({"y": spike_linear(**fresh)}, fresh), NEEDS)
    assert counter.frame_count == 1


def test_auto_is_dense_where_the_kernel_cannot_run() -> None:
    half = {name: t.bfloat16() for name, t in inputs(2, 6, k=9, m=5).items()}
    assert spike_linear(**half).dtype == torch.bfloat16
    with pytest.raises(ValueError, match=r"impl='cpu' needs all tensors in float32.*bfloat16"):
        spike_linear(**half, impl="cpu")


@pytest.mark.parametrize("impl", ["auto", "reference"])
@pytest.mark.parametrize("fast", [True, False])
def test_autocast_rounds_the_gradient_of_spikes_alone(
    impl: Literal["auto", "reference"], fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate, "FAST_BFLOAT16", fast)
    tensors = inputs(3, 70, k=9, m=5)
    plain, mixed = leaf(tensors, NEEDS), leaf(tensors, NEEDS)
    given = torch.randn(3, 70, 5)
    y = spike_linear(**plain)
    y.backward(given)
    with torch.autocast("cpu", torch.bfloat16):
        # What comes from a dense layer under autocast is in half precision, and whole numbers.
        z = spike_linear(**mixed | {"s": mixed["s"].bfloat16()}, impl=impl)
    assert z.dtype == torch.float32
    z.backward(given)
    if impl == "auto":
        assert torch.equal(z, y)
        assert torch.equal(mixed["weight"].grad, plain["weight"].grad)
        assert torch.equal(mixed["bias"].grad, plain["bias"].grad)
        exact = given @ tensors["weight"]
        rounded = given.bfloat16() @ tensors["weight"].bfloat16()
        # The spikes themselves were bfloat16, and so is what reaches them.
        assert torch.equal(mixed["s"].grad, (rounded if fast else exact.bfloat16()).float())
    else:
        assert_close(z, y, PRODUCT)


def test_autocast_leaves_gradients_of_float64_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "FAST_BFLOAT16", True)
    tensors = {name: t.double() for name, t in inputs(3, 70, k=9, m=5).items()}
    plain, mixed = leaf(tensors, NEEDS), leaf(tensors, NEEDS)
    given = torch.randn(3, 70, 5, dtype=torch.float64)
    spike_linear(**plain).backward(given)
    with torch.autocast("cpu", torch.bfloat16):
        y = spike_linear(**mixed)
    y.backward(given)
    assert all(torch.equal(mixed[name].grad, plain[name].grad) for name in NEEDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"s": torch.ones(2, 8)}, r"s must have shape \(\.\.\., K\) and weight \(M, K\)"),
        (
            {"s": torch.ones(2, 0), "weight": torch.ones(5, 0)},
            r"a row and a column, got shape \(5, 0\)",
        ),
        ({"weight": torch.ones(9)}, r"weight \(M, K\), got \(2, 9\) and \(9,\)"),
        ({"bias": torch.ones(4)}, r"bias must have shape \(5,\), got \(4,\)"),
        ({"impl": "fast"}, r"impl must be 'auto' or one of"),
    ],
)
def test_errors_name_the_argument(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = inputs(2, k=9, m=5) | change
    with pytest.raises(ValueError, match=message):
        spike_linear(**arguments)


def test_the_layer_is_a_linear_layer() -> None:
    torch.manual_seed(0)
    dense, layer = torch.nn.Linear(9, 5), SpikeLinear(9, 5)
    layer.load_state_dict(dense.state_dict())
    s = inputs(3, 20, k=9, m=5)["s"]
    assert_close(layer(s), dense(s), PRODUCT)
