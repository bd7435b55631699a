"""Dynamic decay: the compiled kernel against the loop, with a given decay and with its convolution.

With a given decay the two are equal bit for bit. The convolution's decay passes through the
kernel's own exponential, so membranes agree to rounding, and a spike may differ at a tie.
"""

from __future__ import annotations

import math
from itertools import combinations
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
    check_gradients,
    dsn_outputs,
    dsn_state,
    gradients,
    laid_out,
    leaf,
    normal,
    uniform,
)
from torch import Tensor

from spikescan.ops import dsn, dsn_conv
from spikescan.ops.surrogate import ATan, Rectangular, Surrogate
from tolerance import Tolerance, assert_close

INF, NAN = math.inf, math.nan
SUMMED = ("weight", "bias")
STEPS, CHANNELS = (1, 63, 64, 65, 200), (1, 7, 64, 130)
FUSED = {
    torch.float64: Tolerance(1e-11, "worst seen 5e-15; the decays differ in their last bits"),
    torch.float32: Tolerance(1e-4, "worst seen 2e-5, where a sum over time cancels"),
}


def run_given(outputs: str = "spikes membrane h", **options: Any) -> Run:
    names = outputs.split()

    def run(t: Tensors, impl: str) -> Tensors:
        out = dsn(
            t["x"], t["alpha"], dsn_state(t), impl=impl,
            return_membrane="membrane" in names, **options,
        )  # type: ignore[arg-type]  # fmt: skip
        assert (out.membrane is None) == ("membrane" not in names)
        return {name: dsn_outputs(out)[name] for name in names}

    return run


def run_conv(outputs: str = "spikes membrane h inputs", **options: Any) -> Run:
    names = outputs.split()

    def run(t: Tensors, impl: str) -> Tensors:
        out = dsn_conv(
            t["x"], t["weight"], t["bias"], dsn_state(t, t["weight"].shape[1]), impl=impl,
            return_membrane="membrane" in names, **options,
        )  # type: ignore[arg-type]  # fmt: skip
        assert (out.membrane is None) == ("membrane" not in names)
        return {name: dsn_outputs(out)[name] for name in names}

    return run


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


def conv_inputs(
    batch: int,
    steps: int,
    channels: int,
    dtype: torch.dtype = torch.float64,
    state: bool = True,
    taps: int = 4,
) -> Tensors:
    seed = 1000 * batch + 10 * steps + channels
    tensors = {
        "x": normal(batch, steps, channels, seed=seed, dtype=dtype, scale=3, shift=1),
        "weight": normal(channels, taps, seed=seed + 1, dtype=dtype, scale=0.3),
        "bias": uniform(0, 3, channels, seed=seed + 2, dtype=dtype),
    }
    if state:
        tensors["h0"] = normal(batch, channels, seed=seed + 3, dtype=dtype, scale=2)
        tensors["inputs"] = normal(batch, taps - 1, channels, seed=seed + 4, dtype=dtype)
    return tensors


def largest_decay(t: Tensors, exponent: float = 4.0) -> float:
    before = t.get("inputs", t["x"].new_zeros(t["x"].shape[0], t["weight"].shape[1] - 1, 1))
    x = torch.cat((before.expand(-1, -1, t["x"].shape[2]), t["x"].nan_to_num()), 1)
    c = torch.nn.functional.conv1d(
        x.mT.double(), t["weight"][:, None].double(), t["bias"].double(), groups=x.shape[2]
    )
    return float((c.sigmoid() ** exponent).max()) if c.numel() else 0.0


def check_conv(
    run: Run,
    tensors: Tensors,
    *,
    exponent: float = 4.0,
    needs: Any = None,
    layout: str = "contiguous",
) -> tuple[Tensors, Tensors, int]:
    """Kernel and loop agree but for ties, which are counted: outputs, gradients, ties.

    A decay that is off by few rounding errors moves the membrane by so many times the range of
    the input, and a memory of 1 / (1 - decay) steps adds them up: that is the margin.
    """
    results = []
    for impl in ("cpu", "reference"):
        leaves = leaf(tensors, tensors if needs is None else needs)
        outputs = run(leaves, impl)
        results.append((outputs, gradients(outputs, leaves, layout=layout)))
    (got, grads), (due, due_grads) = results
    assert grads.keys() == due_grads.keys()
    for name, value in due_grads.items():
        assert_close(grads[name], value, FUSED, f"gradient of {name}")
    if "inputs" in due:
        assert torch.equal(got["inputs"], due["inputs"])
    ties = 0
    if {"spikes", "membrane"} <= due.keys() and due["spikes"].numel():
        membrane = due["membrane"].detach()
        size = max(float(v.nan_to_num().abs().max()) for v in (tensors["x"], membrane))
        eps = torch.finfo(membrane.dtype).eps
        margin = (8 + exponent / 4) * eps * size / (1 - largest_decay(tensors, exponent))
        assert (got["membrane"] - membrane).abs().max() <= margin
        differ = got["spikes"] != due["spikes"]
        ties = int(differ.sum())
        assert ((membrane[differ] % 1 - 0.5).abs() <= margin).all()
    return got, grads, ties


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


@pytest.mark.parametrize("state", [True, False], ids=["state", "rest"])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("steps", STEPS)
def test_given_shapes(steps: int, channels: int, state: bool) -> None:
    dtype = torch.float32 if channels != 7 else torch.float64
    tensors = given_inputs(1 + channels % 3, steps, channels, dtype, state)
    outputs, _ = check_against_reference(run_given(), tensors)
    if steps > 1 and channels > 1:
        assert outputs["spikes"].unique().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("state", [True, False], ids=["state", "rest"])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("steps", STEPS)
def test_conv_shapes(steps: int, channels: int, state: bool) -> None:
    batch = 1 + channels % 3
    *_, ties = check_conv(run_conv(), conv_inputs(batch, steps, channels, state=state))
    assert ties == 0
    # In float32 an edge of the window may be a tie too: a smooth surrogate has none.
    single = conv_inputs(batch, steps, channels, torch.float32, state)
    check_conv(run_conv(surrogate=ATan()), single)


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("function", [None, *ALL_SURROGATES], ids=lambda s: type(s).__name__)
def test_surrogates(function: Surrogate | None, levels: int) -> None:
    options: dict[str, Any] = {"surrogate": function, "levels": levels}
    given = given_inputs(2, 70, 7, torch.float64)
    outputs, _ = check_against_reference(run_given(**options), given)
    assert outputs["spikes"].max() == levels
    check_conv(run_conv(**options), conv_inputs(2, 70, 7))


@pytest.mark.parametrize("exponent", [1.0, 4.0, 8.0, 9.0, 0.3, 2.5])
@pytest.mark.parametrize("taps", [1, 2, 16])
def test_kernel_sizes_and_exponents(taps: int, exponent: float) -> None:
    tensors = conv_inputs(2, 70, 5, taps=taps)
    *_, ties = check_conv(run_conv(exponent=exponent), tensors, exponent=exponent)
    assert ties == 0


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


@pytest.mark.parametrize("layout", [*LAYOUTS, *EXPANDED])
def test_layouts(layout: str) -> None:
    order = [*LAYOUTS, *EXPANDED]
    tensors = given_inputs(3, 66, 70)
    tensors["x"] = laid_out(tensors["x"], layout)
    tensors["alpha"] = laid_out(tensors["alpha"], order[order.index(layout) - 3])
    check_against_reference(run_given(), tensors, layout=layout)
    tensors = conv_inputs(3, 66, 70)
    tensors["x"] = laid_out(tensors["x"], layout)
    tensors["weight"] = tensors["weight"].t().contiguous().t()
    tensors["inputs"] = tensors["inputs"].transpose(1, 2).contiguous().transpose(1, 2)
    check_conv(run_conv(), tensors, layout=layout)


NAMES = ("x", "weight", "bias", "h0", "inputs")


@pytest.mark.parametrize("outputs", ["spikes", "membrane h", "h inputs"])
def test_requires_grad_subsets(outputs: str) -> None:
    for needs in [*combinations(NAMES, 1), *combinations(NAMES, 2)]:
        _, grads, _ = check_conv(run_conv(outputs), conv_inputs(2, 67, 5), needs=needs)
        assert set(grads) == set(needs)
    names = outputs.replace(" inputs", "")
    for needs in [*combinations(("x", "alpha", "h0"), 1), *combinations(("x", "alpha", "h0"), 2)]:
        given = given_inputs(2, 67, 5)
        _, grads = check_against_reference(run_given(names), given, needs=needs)
        assert set(grads) == set(needs)


@pytest.mark.parametrize("state", [True, False], ids=["state", "rest"])
def test_lengths_keep_padding_out_of_everything(state: bool) -> None:
    lengths = torch.tensor([0, 1, 2, 63, 64, 65, 130])
    padding = torch.arange(130) >= lengths[:, None]
    given = given_inputs(7, 130, 66, state=state)
    given["x"][padding] = given["alpha"][padding] = NAN
    conv = conv_inputs(7, 130, 66, state=state)
    conv["x"][padding] = NAN
    options = {"lengths": lengths}
    results = [
        (run_given, given, check_against_reference(run_given(**options), given)),
        (run_conv, conv, check_conv(run_conv(**options), conv)[:2]),
    ]
    for runner, tensors, (outputs, grads) in results:
        for value in (*outputs.values(), *grads.values()):
            assert value.isfinite().all()
        for b, length in enumerate(lengths.tolist()):
            for value in (outputs["spikes"], outputs["membrane"], grads["x"]):
                assert not value[b, length:].any()
            row = {k: v if k in SUMMED else v[b : b + 1] for k, v in tensors.items()}
            row |= {k: row[k][:, :length] for k in ("x", "alpha") if k in row}
            for name, value in runner()(row, "cpu").items():
                got = outputs[name][b : b + 1]
                assert torch.equal(got[:, :length] if got.shape[1] == 130 else got, value), name


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


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3)])
def test_empty_batches_and_sequences(shape: tuple[int, int, int]) -> None:
    outputs, _ = check_against_reference(run_given(), given_inputs(*shape), needs=["h0"])
    assert outputs["spikes"].shape == shape
    tensors = conv_inputs(*shape)
    got, *_ = check_conv(run_conv(), tensors, needs=["h0", "inputs"])
    assert torch.equal(got["h"], tensors["h0"])
    assert torch.equal(got["inputs"], tensors["inputs"])
    leaves = leaf(tensors, tensors)
    grads = gradients(run_conv()(leaves, "cpu"), leaves)
    assert grads["x"].shape == shape
    assert not any(grads[name].any() for name in SUMMED)


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


def test_chunks_of_the_convolution_share_nothing_but_the_state() -> None:
    t = conv_inputs(2, 130, 7, torch.float32)
    whole = run_conv()(t, "cpu")
    h, carried, parts = t["h0"], t["inputs"], []
    for x in t["x"].split([1, 2, 60, 3, 64], 1):
        out = run_conv()({**t, "x": x, "h0": h, "inputs": carried}, "cpu")
        h, carried = out["h"], out["inputs"]
        parts.append(out["spikes"])
    assert torch.equal(torch.cat(parts, 1), whole["spikes"])
    assert torch.equal(h, whole["h"])
    assert torch.equal(carried, t["x"][:, -3:])


def test_gradcheck_of_what_is_smooth() -> None:
    for run, tensors in (
        (run_given("membrane h"), given_inputs(2, 66, 2, torch.float64)),
        (run_conv("membrane h inputs"), conv_inputs(2, 66, 2)),
        (run_conv("membrane h inputs", exponent=0.7), conv_inputs(2, 5, 2, taps=8)),
    ):

        def smooth(*args: Tensor, run: Run = run, names: Any = tuple(tensors)) -> Any:
            return tuple(run(dict(zip(names, args, strict=True)), "cpu").values())

        arguments = tuple(leaf(tensors, tensors).values())
        assert torch.autograd.gradcheck(smooth, arguments, fast_mode=True)
