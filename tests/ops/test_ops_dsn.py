"""Dynamic decay: the compiled kernel against the loop, with a given decay and with its convolution.

With a given decay the two are equal bit for bit. The convolution's decay passes through the
kernel's own exponential, so membranes agree to rounding, and a spike may differ at a tie.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from dsn_support import check_conv, conv_inputs, given_inputs, run_conv, run_given
from ops_support import (
    ALL_SURROGATES,
    EXPANDED,
    LAYOUTS,
    Run,
    check_against_reference,
    gradients,
    laid_out,
    leaf,
)
from torch import Tensor

from spikescan.ops.surrogate import ATan, Surrogate

SUMMED = ("weight", "bias")
STEPS, CHANNELS = (1, 63, 64, 65, 200), (1, 7, 64, 130)


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
    given["x"][padding] = given["alpha"][padding] = torch.nan
    conv = conv_inputs(7, 130, 66, state=state)
    conv["x"][padding] = torch.nan
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
