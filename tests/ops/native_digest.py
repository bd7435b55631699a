"""Run every kernel on fixed inputs and print the level in use and a digest of all results.

The tests start this once for each CPU level: the library is chosen once in a process. With
``--lines`` it prints a line for each kernel and option: kept from before a change and compared
with those after it, they tell what a change of numbers reached.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping, Sequence

import torch
from every_op import EVERY_OP, arguments, parts
from every_op import results as outputs_of
from ops_support import (
    ALL_SURROGATES,
    Tensors,
    dsn_outputs,
    dsn_state,
    flat,
    gradients,
    leaf,
    normal,
    run_lif,
    scan_outputs,
    scan_state,
    uniform,
)
from torch import Tensor

from spikescan.ops import (
    batch_norm,
    bernoulli,
    dsn,
    dsn_conv,
    linear_scan,
    resonate,
    spike,
    spike_linear,
)
from spikescan.ops._core.cpu import level
from spikescan.ops.resonate import PRFState
from spikescan.ops.surrogate import Surrogate


def every_kernel(
    dtype: torch.dtype,
    steps: int = 100,
    channels: int = 135,
    surrogates: Sequence[Surrogate] = ALL_SURROGATES,
) -> dict[str, Tensors]:
    """Outputs and gradients of all kernels with all their options, by kernel and options."""
    real = {
        "x": normal(2, steps, channels, seed=0, dtype=dtype, scale=0.6, shift=0.2),
        "beta": uniform(0.5, 0.999, channels, seed=1, dtype=dtype),
        "v0": normal(2, channels, seed=2, dtype=dtype),
    }
    lengths = torch.tensor([steps, steps // 3])
    results: dict[str, Tensors] = {}

    def keep(label: str, outputs: Mapping[str, Tensor | None], leaves: Tensors) -> None:
        present = {name: value for name, value in outputs.items() if value is not None}
        results[label] = present
        results[f"{label} gradients"] = gradients(present, leaves)

    for surrogate in surrogates:
        for reset, detach in (("soft", True), ("soft", False), ("hard", False), ("none", True)):
            t = leaf(real, real)
            options = {"reset": reset, "detach_reset": detach, "return_membrane": True}
            label = f"lif {reset}{'' if detach else ' full'} {surrogate}"
            keep(label, flat(run_lif(t, **options, surrogate=surrogate)), t)
        t = leaf(real, real)
        ring = resonate(
            t["x"], t["beta"], 2 * t["beta"], PRFState(t["v0"], t["v0"]),
            surrogate=surrogate, lengths=lengths,
        )  # fmt: skip
        keep(f"resonate {surrogate}", flat(ring), t)
        t = leaf(real, ["x"])
        keep(f"spike {surrogate}", {"spikes": spike(t["x"], 0.3, surrogate=surrogate)}, t)
    slow = uniform(0.0, 1.0, 2, steps, channels, seed=4, dtype=dtype)
    taps = normal(channels, 4, seed=3, dtype=dtype)
    for shape in (None, *surrogates):
        for levels in (1, 4):
            options = {"levels": levels, "surrogate": shape, "lengths": lengths}
            t = leaf({"x": real["x"], "alpha": slow, "h0": real["v0"]}, ["x", "alpha", "h0"])
            out = dsn(t["x"], t["alpha"], dsn_state(t), **options)
            keep(f"dsn {levels} {shape}", {**dsn_outputs(out), "inputs": None}, t)
            t = leaf(
                {"x": real["x"], "weight": taps, "bias": real["beta"]}, ["x", "weight", "bias"]
            )
            keep(f"dsn_conv {levels} {shape}", dsn_outputs(dsn_conv(**t, **options)), t)
    for power in (2.0, 2.5):
        t = leaf({"x": real["x"], "weight": taps}, ["x", "weight"])
        keep(f"dsn_conv power {power}", dsn_outputs(dsn_conv(**t, exponent=power)), t)
    turn = torch.polar(torch.ones_like(real["beta"]), 3 * real["beta"])
    for kind, a in (("real", real["beta"]), ("complex", real["beta"] * turn)):
        for each, multiplier in (("channel", a), ("step", a.expand_as(real["x"]))):
            t = leaf({"a": multiplier, "b": real["x"], "h0": real["v0"]}, ["a", "b", "h0"])
            out = linear_scan(t["a"], t["b"], scan_state(t["h0"]), lengths=lengths)
            keep(f"linear_scan {kind} {each}", scan_outputs(out), t)
    fired = (real["x"] > 0.5).to(real["x"])
    for kind, s in (("binary", fired), ("whole", fired * real["x"].round())):
        t = leaf({"s": s, "weight": real["x"][0], "bias": real["x"][0, :, 0]}, ["weight", "bias"])
        keep(f"spike_linear {kind}", {"y": spike_linear(**t)}, t)
    t = leaf({"x": real["x"], "weight": real["beta"], "bias": real["beta"]}, ["x", "weight"])
    keep("batch_norm", batch_norm(**t, lengths=lengths)._asdict(), t)
    key = torch.arange(len(real["x"]))
    results["bernoulli"] = {"s": bernoulli(real["x"], key, key)}
    told = {label.partition(" ")[0] for label in results}
    for op in sorted(EVERY_OP.keys() - told):
        surrogated = "surrogate" in inspect.signature(EVERY_OP[op]).parameters
        for surrogate in surrogates if surrogated else [None]:
            t = arguments(op, 2, steps, channels, dtype=dtype)
            leaves = {n: v.requires_grad_() for n, v in parts(t).items() if v.is_floating_point()}
            options = {"surrogate": surrogate} if surrogated else {}
            keep(f"{op} {surrogate}", outputs_of(op, t, **options), leaves)
    return results


def alike(results: Mapping[str, Tensors]) -> Mapping[str, Tensors]:
    """What all CPU levels give the same bits of: all but state-space models, whose sums are fused
    where the CPU can."""
    return {label: group for label, group in results.items() if not label.startswith("ssm ")}


def digest(results: Mapping[str, Tensors]) -> str:
    total = hashlib.sha256()
    for group in results.values():
        for name, value in group.items():
            plain = torch.view_as_real(value) if value.is_complex() else value
            total.update(name.encode())
            total.update(plain.detach().contiguous().numpy().tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    torch.set_num_threads(1)
    both = {dtype: every_kernel(dtype) for dtype in (torch.float32, torch.float64)}
    if "--lines" in sys.argv:
        for dtype, results in both.items():
            for label, group in results.items():
                print(f"{digest({label: group})[:16]} {dtype} {label}")
    else:
        print(level(), *(digest(alike(results)) for results in both.values()))
