"""What the tests of dynamic decay share: inputs, runs, and kernel against loop but for ties."""

from __future__ import annotations

from typing import Any

import torch
from ops_support import (
    Run,
    Tensors,
    dsn_outputs,
    dsn_state,
    gradients,
    leaf,
    normal,
    uniform,
)

from spikescan.ops import dsn, dsn_conv
from tolerance import Tolerance, assert_close

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
