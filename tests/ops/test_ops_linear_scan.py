"""The linear scan: the compiled kernel against the loop over time, real and complex."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pytest
import torch
from ops_support import (
    BLOCK_EDGES,
    EXPANDED,
    LAYOUTS,
    Run,
    Tensors,
    check_against_reference,
    check_gradients,
    gradients,
    laid_out,
    leaf,
    normal,
    scan_outputs,
    scan_state,
    uniform,
)
from torch import Tensor

from spikescan.ops import linear_scan

INF, NAN = math.inf, math.nan
DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128]
KINDS = pytest.mark.parametrize("per_step", [False, True], ids=["constant", "per step"])


def runner(**options: Any) -> Run:
    def run(t: Tensors, impl: str) -> Tensors:
        return scan_outputs(
            linear_scan(t["a"], t["b"], scan_state(t.get("h0")), impl=impl, **options)
        )

    return run


def inputs(
    batch: int,
    steps: int,
    channels: int,
    per_step: bool,
    *,
    dtype: torch.dtype = torch.float32,
    state: bool = True,
    size: tuple[float, float] = (0.5, 1.0),
) -> Tensors:
    """Multipliers of the given absolute values, of any sign or angle."""
    seed = 1000 * batch + 10 * steps + channels
    shape = (batch, steps, channels) if per_step else (channels,)
    real = torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32
    angle = uniform(0, 2 * math.pi, *shape, seed=seed + 1, dtype=real)
    turn = torch.exp(1j * angle) if dtype.is_complex else torch.cos(angle).sign()
    tensors = {
        "a": uniform(*size, *shape, seed=seed, dtype=real) * turn,
        "b": normal(batch, steps, channels, seed=seed + 2, dtype=dtype),
    }
    if state:
        tensors["h0"] = normal(batch, channels, seed=seed + 3, dtype=dtype)
    return tensors


def check(run: Run, tensors: Tensors, **options: Any) -> tuple[Tensors, Tensors]:
    """Real scans are equal bit for bit; torch contracts complex products at the end of a row."""
    exact = not any(t.is_complex() for t in tensors.values())
    return check_against_reference(run, tensors, summed=["a"], exact=exact, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=["real", "complex"])
@pytest.mark.parametrize("channels", [1, 7, 64, 130])
@pytest.mark.parametrize("steps", BLOCK_EDGES)
@KINDS
def test_shapes(per_step: bool, steps: int, channels: int, dtype: torch.dtype) -> None:
    state = (steps + channels) % 2 == 0
    check(runner(), inputs(1 + channels % 3, steps, channels, per_step, dtype=dtype, state=state))


@pytest.mark.parametrize("state", [True, False], ids=["state", "rest"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@KINDS
def test_dtypes(per_step: bool, dtype: torch.dtype, state: bool) -> None:
    outputs, grads = check(runner(), inputs(2, 70, 5, per_step, dtype=dtype, state=state))
    assert {v.dtype for v in (*outputs.values(), *grads.values())} == {dtype}


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@KINDS
def test_complex_numbers_are_pairs_of_real_ones(per_step: bool, dtype: torch.dtype) -> None:
    """Against the same recurrence in real numbers the kernel is exact, and so is every level."""
    tensors = inputs(2, 150, 7, per_step, dtype=dtype, size=(0.99, 1.0))
    a, b, h0 = tensors["a"], tensors["b"], tensors["h0"]
    re, im = h0.real, h0.imag
    for t in range(150):
        a_t = a[:, t] if per_step else a
        re, im = (
            (a_t.real * re - a_t.imag * im) + b[:, t].real,
            (a_t.real * im + a_t.imag * re) + b[:, t].imag,
        )
    last = linear_scan(a, b, scan_state(h0), impl="cpu").state.h
    assert torch.equal(last.real, re)
    assert torch.equal(last.imag, im)


@pytest.mark.parametrize(
    ("a_dtype", "b_dtype", "h_dtype", "last_dtype"),
    [
        (torch.float32, torch.bfloat16, torch.float32, torch.float32),
        (torch.bfloat16, torch.bfloat16, torch.bfloat16, torch.float32),
        (torch.float16, torch.float16, torch.float16, torch.float32),
        (torch.float64, torch.float32, torch.float64, torch.float64),
        (torch.complex64, torch.float32, torch.complex64, torch.complex64),
        (torch.float32, torch.complex64, torch.complex64, torch.complex64),
        (torch.complex64, torch.float64, torch.complex128, torch.complex128),
    ],
    ids=str,
)
@KINDS
def test_mixed_dtypes(
    per_step: bool,
    a_dtype: torch.dtype,
    b_dtype: torch.dtype,
    h_dtype: torch.dtype,
    last_dtype: torch.dtype,
) -> None:
    a = inputs(2, 66, 5, per_step, dtype=a_dtype)["a"].to(a_dtype)
    b = inputs(2, 66, 5, per_step, dtype=b_dtype)["b"]
    outputs, grads = check(runner(), {"a": a, "b": b})
    assert (outputs["h"].dtype, outputs["last"].dtype) == (h_dtype, last_dtype)
    assert (grads["a"].dtype, grads["b"].dtype) == (a_dtype, b_dtype)
    # The state is never rounded to the narrow type on the way.
    wide = linear_scan(a.to(last_dtype), b.to(last_dtype))
    assert torch.equal(outputs["last"], wide.state.h)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=["real", "complex"])
@pytest.mark.parametrize("size", [(0.9999, 1.0), (1.0, 1.0), (0.0, 0.0)], ids=str)
@KINDS
def test_long_sequences_at_the_ends_of_the_range(
    per_step: bool, size: tuple[float, float], dtype: torch.dtype
) -> None:
    check(runner(), inputs(1, 1000, 5, per_step, dtype=dtype, size=size))


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=["real", "complex"])
@pytest.mark.parametrize("layout", [*LAYOUTS, *EXPANDED])
@KINDS
def test_layouts(per_step: bool, layout: str, dtype: torch.dtype) -> None:
    tensors = inputs(3, 66, 35, per_step, dtype=dtype)
    tensors["b"] = laid_out(tensors["b"], layout)
    tensors["h0"] = tensors["h0"].t().contiguous().t()
    if per_step:
        # Another layout than that of b.
        order = [*LAYOUTS, *EXPANDED]
        tensors["a"] = laid_out(tensors["a"], order[order.index(layout) - 3])
    else:
        tensors["a"] = tensors["a"].repeat_interleave(2)[::2]
    check(runner(), tensors, layout=layout)


@pytest.mark.parametrize("lazy", ["conj", "neg"])
@KINDS
def test_lazy_conjugates_and_negatives(per_step: bool, lazy: str) -> None:
    tensors = inputs(2, 9, 3, per_step, dtype=torch.complex64)
    if lazy == "conj":
        changed = {k: v.conj() for k, v in tensors.items()}
        assert changed["b"].is_conj()
    else:
        changed = {k: v.conj().imag for k, v in tensors.items()}
        assert changed["b"].is_neg()
    plain = {k: v.resolve_conj().resolve_neg() for k, v in changed.items()}
    assert torch.equal(runner()(changed, "cpu")["h"], runner()(plain, "cpu")["h"])
    check(runner(), changed)


SUBSETS = [c for n in (1, 2, 3) for c in combinations(("a", "b", "h0"), n)]


@pytest.mark.parametrize("outputs", ["h", "last", "both"])
@pytest.mark.parametrize("needs", SUBSETS, ids="+".join)
@KINDS
def test_requires_grad_subsets(per_step: bool, needs: tuple[str, ...], outputs: str) -> None:
    def run(t: Tensors, impl: str) -> Tensors:
        both = runner()(t, impl)
        return both if outputs == "both" else {outputs: both[outputs]}

    for dtype in (torch.float32, torch.complex64):
        _, grads = check(run, inputs(2, 67, 5, per_step, dtype=dtype), needs=needs)
        assert set(grads) == set(needs)


@pytest.mark.parametrize("state", [True, False], ids=["state", "rest"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=["real", "complex"])
@KINDS
def test_lengths_keep_padding_out_of_everything(
    per_step: bool, dtype: torch.dtype, state: bool
) -> None:
    lengths = torch.tensor([0, 1, 63, 64, 65, 100, 130])
    tensors = inputs(7, 130, 33, per_step, dtype=dtype, state=state)
    padding = torch.arange(130) >= lengths[:, None]
    tensors["b"][padding] = torch.nan
    if per_step:
        tensors["a"][padding] = torch.nan
    outputs, grads = check(runner(lengths=lengths), tensors)
    for value in (*outputs.values(), *grads.values()):
        assert value.isfinite().all()
    for b, length in enumerate(lengths.tolist()):
        for value in (outputs["h"], grads["b"], *([grads["a"]] if per_step else [])):
            assert not value[b, length:].any()
        due = outputs["h"][b, length - 1] if length else tensors.get("h0", torch.zeros(7, 33))[b]
        assert torch.equal(outputs["last"][b], due.to(dtype))


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3)])  # no step: no pointer to read from
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@KINDS
def test_empty_batches_and_sequences(
    per_step: bool, dtype: torch.dtype, shape: tuple[int, int, int]
) -> None:
    tensors = inputs(*shape, per_step, dtype=dtype)
    outputs, _ = check(runner(), tensors, needs=["h0"])
    assert outputs["h"].shape == shape
    assert torch.equal(outputs["last"], tensors["h0"])
    leaves = leaf(tensors, tensors)
    grads = gradients(runner()(leaves, "cpu"), leaves)
    assert grads["a"].shape == tensors["a"].shape
    assert not grads["a"].any()


@pytest.mark.parametrize("value", [3e37, INF, -INF, NAN], ids=str)
@KINDS
def test_a_bad_input_stays_in_its_channel(per_step: bool, value: float) -> None:
    tensors = inputs(2, 70, 5, per_step, size=(0.5, 0.9))
    clean = runner()(tensors, "cpu")
    tensors["b"][1, 10, 2] = value
    out, due = (runner()(tensors, impl)["h"] for impl in ("cpu", "reference"))
    torch.testing.assert_close(out, due, rtol=0, atol=0, equal_nan=True)
    others = torch.ones(2, 70, 5, dtype=torch.bool)
    others[1, 10:, 2] = False
    assert torch.equal(out[others], clean["h"][others])
    assert not torch.equal(out[1, 10, 2], clean["h"][1, 10, 2])


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=["real", "complex"])
@KINDS
def test_gradcheck(per_step: bool, dtype: torch.dtype, padded: bool) -> None:
    tensors = inputs(2, 9, 2, per_step, dtype=dtype)
    lengths = torch.tensor([4, 9]) if padded else None

    def scan(a: Tensor, b: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
        out = linear_scan(a, b, scan_state(h0), lengths=lengths, impl="cpu")
        return out.h, out.state.h

    assert torch.autograd.gradcheck(scan, tuple(leaf(tensors, tensors).values()))


@KINDS
def test_gradcheck_of_real_multipliers_on_complex_states(per_step: bool) -> None:
    a = inputs(2, 7, 2, per_step, dtype=torch.float64)["a"].requires_grad_()
    b = normal(2, 7, 2, seed=0, dtype=torch.complex128).requires_grad_()

    def scan(a: Tensor, b: Tensor) -> Tensor:
        return linear_scan(a, b, impl="cpu").h

    assert torch.autograd.gradcheck(scan, (a, b))


def test_gradcheck_past_a_checkpoint() -> None:
    tensors = inputs(1, 130, 2, False, dtype=torch.float64)

    def scan(a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
        return linear_scan(a, b, scan_state(h0), impl="cpu").h

    leaves = tuple(leaf(tensors, tensors).values())
    assert torch.autograd.gradcheck(scan, leaves, fast_mode=True)


def test_a_constant_multiplier_is_one_repeated_at_each_step() -> None:
    tensors = inputs(3, 70, 5, False, dtype=torch.float64)
    constant = leaf(tensors, tensors)
    repeated = leaf({**tensors, "a": tensors["a"].expand(3, 70, 5).contiguous()}, tensors)
    results = []
    for leaves in (constant, repeated):
        outputs = runner()(leaves, "cpu")
        results.append((outputs, gradients(outputs, leaves)))
    (one, one_grads), (each, each_grads) = results
    assert torch.equal(one["h"], each["h"])
    each_grads["a"] = each_grads["a"].sum((0, 1))
    check_gradients(one_grads, each_grads, ["a"])


def test_an_input_changed_in_place_before_backward_is_noticed() -> None:
    tensors = leaf(inputs(2, 9, 3, False), ["a", "b"])
    out = linear_scan(tensors["a"], tensors["b"], impl="cpu")
    with torch.no_grad():
        out.h.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.state.h.sum().backward()
