"""Dynamic decay: ties, saturation, bounds, bad input, half precision."""

from __future__ import annotations

import math

import pytest
import torch
from dsn_support import (
    conv_inputs,
    given_inputs,
    largest_decay,
    run_conv,
    run_given,
)
from ops_support import check_against_reference, check_gradients, gradients, leaf, normal, uniform

from spikescan.ops import dsn, dsn_conv
from spikescan.ops.surrogate import Rectangular

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("exponent", [2.0, 20.0, 100.0, 300.0])
def test_the_stated_bound_holds_for_large_powers(exponent: float) -> None:
    x = normal(2, 1000, 128, seed=0)
    weight = normal(128, 4, seed=1, scale=0.3)
    # Decays of all sizes at zero input.
    start = uniform(0.04, 0.99, 128, seed=2, dtype=torch.float64)
    tensors = {"x": x, "weight": weight, "bias": torch.logit(start ** (1 / exponent)).float()}
    wide = {name: value.double() for name, value in tensors.items()}
    options = {"exponent": exponent, "return_membrane": True}
    got = dsn_conv(**tensors, **options, impl="cpu").membrane
    due = dsn_conv(**tensors, **options, impl="reference").membrane
    exact = dsn_conv(**wide, **options, impl="reference").membrane
    unit = 2**-23 * float(x.abs().max()) / (1 - largest_decay(tensors, exponent))
    assert float((got - due).abs().max()) <= (8 + exponent / 4) * unit
    assert float((got - exact).abs().max()) <= 2 * unit


@pytest.mark.parametrize("exponent", [4.0, 2.5])
@pytest.mark.parametrize("bias", [0.0, 30.0, 800.0, -30.0, -800.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_decays_that_saturate(dtype: torch.dtype, bias: float, exponent: float) -> None:
    tensors = conv_inputs(2, 70, 5, dtype)
    tensors["bias"].fill_(bias)
    run = run_conv("membrane h", exponent=exponent)
    got, due = (run(tensors, impl)["membrane"] for impl in ("cpu", "reference"))
    torch.testing.assert_close(got, due, rtol=0, atol=40 * torch.finfo(dtype).eps * 10)
    leaves = leaf(tensors, tensors)
    assert all(g.isfinite().all() for g in gradients(run(leaves, "cpu"), leaves).values())


@pytest.mark.parametrize("impl", ["cpu", "reference"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_ties_fire_and_nothing_below_does(impl: str, dtype: torch.dtype) -> None:
    ties = torch.arange(0, 6, dtype=dtype) + 0.5
    around = [torch.nextafter(ties, ties - 1), ties, torch.nextafter(ties, ties + 1)]
    other = torch.tensor([-0.0, -0.5, -7.0, INF, -INF, NAN], dtype=dtype)
    x = torch.cat([*around, other]).view(1, 1, -1)
    spikes = dsn(x, torch.zeros_like(x), levels=4, impl=impl).spikes  # type: ignore[arg-type]
    due = [*[0, 1, 2, 3, 4, 4], *[1, 2, 3, 4, 4, 4], *[1, 2, 3, 4, 4, 4], *[0, 0, 0, 4, 0, 0]]
    assert spikes.flatten().tolist() == due
    # torch.round takes the even neighbour of a tie instead.
    assert torch.tensor(0.5).round() == 0


def test_many_levels() -> None:
    tensors = given_inputs(2, 65, 7)
    tensors["x"] *= 100
    outputs, _ = check_against_reference(run_given(levels=256), tensors)
    assert outputs["spikes"].max() == 256
    assert len(outputs["spikes"].unique()) > 100


def test_unit_rectangles_are_the_window() -> None:
    grads = []
    for function in (None, Rectangular(1.0)):
        leaves = leaf(given_inputs(2, 65, 7, torch.float64), ["x", "alpha", "h0"])
        grads.append(gradients(run_given("spikes", surrogate=function)(leaves, "cpu"), leaves))
    check_gradients(*grads, summed=[])


@pytest.mark.parametrize("value", [3e37, INF, -INF, NAN], ids=str)
def test_a_bad_input_stays_in_its_channel(value: float) -> None:
    others = torch.ones(2, 70, 5, dtype=torch.bool)
    others[1, 10:, 2] = False
    for run, tensors in (
        (run_given(), given_inputs(2, 70, 5)),
        (run_conv(), conv_inputs(2, 70, 5, torch.float32)),
    ):
        clean = run(tensors, "cpu")
        tensors["x"][1, 10, 2] = value
        out, due = (run(tensors, impl) for impl in ("cpu", "reference"))
        assert out["spikes"].isfinite().all()
        for name in ("spikes", "membrane"):
            assert torch.equal(out[name][others], clean[name][others])
            assert torch.equal(out[name].isfinite(), due[name].isfinite())
        leaves = leaf(tensors, tensors)
        grads = gradients(run(leaves, "cpu"), leaves)
        assert grads["x"][:, :, [0, 1, 3, 4]].isfinite().all()


@torch.no_grad()
def test_no_spike_differs_with_a_given_decay(capsys: pytest.CaptureFixture[str]) -> None:
    """Over more than ten million spikes: a contracted multiply-add would show."""
    tensors = given_inputs(4, 2048, 1000)
    tensors["alpha"] = 1 - (1 - tensors["alpha"]) ** 3
    kernel, loop = (run_given("spikes h")(tensors, impl) for impl in ("cpu", "reference"))
    fired, differ = int(loop["spikes"].sum()), int((kernel["spikes"] != loop["spikes"]).sum())
    with capsys.disabled():
        print(f"\nDSN: {differ} of {fired:,} spikes differ from the float32 loop")
    assert fired >= 10_000_000
    assert differ == 0
    assert torch.equal(kernel["h"], loop["h"])


@torch.no_grad()
@pytest.mark.parametrize("exponent", [4.0, 2.5])
def test_ties_with_the_convolution_are_few(
    exponent: float, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = conv_inputs(8, 1000, 250, torch.float32)
    run = run_conv(exponent=exponent)
    got, due = (run(tensors, impl) for impl in ("cpu", "reference"))
    differ = got["spikes"] != due["spikes"]
    with capsys.disabled():
        print(f"\nDSN with convolution: {int(differ.sum())} of {differ.numel():,} spikes differ")
    assert differ.sum() <= 1e-5 * differ.numel()
    assert ((due["membrane"][differ] % 1 - 0.5).abs() < 1e-5).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_keeps_its_state_in_float32(dtype: torch.dtype) -> None:
    given = {k: v.to(dtype) for k, v in given_inputs(2, 100, 5).items()}
    outputs, grads = check_against_reference(run_given(), given)
    assert outputs["spikes"].dtype == grads["alpha"].dtype == dtype
    assert outputs["h"].dtype == outputs["membrane"].dtype == torch.float32
    wide = run_given()({k: v.float() for k, v in given.items()}, "cpu")
    assert torch.equal(outputs["h"], wide["h"])
    conv = {k: v.to(dtype) for k, v in conv_inputs(2, 100, 5).items()}
    got = run_conv()(leaf(conv, conv), "cpu")
    assert got["spikes"].dtype == dtype
    assert {got[k].dtype for k in ("h", "inputs", "membrane")} == {torch.float32}
    leaves = leaf(conv, conv)
    grads = gradients(run_conv()(leaves, "cpu"), leaves)
    assert {g.dtype for g in grads.values()} == {dtype}
