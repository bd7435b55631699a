"""Run every kernel on fixed inputs and print the level in use and a digest of all results.

The tests start this once for each CPU level: the library is chosen once in a process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from ops_support import ALL_SURROGATES, Tensors, gradients, leaf, normal, uniform
from torch import Tensor

from spikescan.ops import (
    batch_norm,
    bernoulli,
    lif,
    linear_scan,
    resonate,
    spike,
    spike_linear,
)
from spikescan.ops.native import level
from spikescan.ops.ssm import cpu as ssm
from spikescan.ops.surrogate import Surrogate


def every_kernel(
    dtype: torch.dtype,
    steps: int = 100,
    channels: int = 135,
    surrogates: Sequence[Surrogate] = ALL_SURROGATES,
) -> list[Tensors]:
    """Outputs and gradients of all kernels with all their options."""
    real = {
        "x": normal(2, steps, channels, seed=0, dtype=dtype, scale=0.6, shift=0.2),
        "beta": uniform(0.5, 0.999, channels, seed=1, dtype=dtype),
        "v0": normal(2, channels, seed=2, dtype=dtype),
    }
    lengths = torch.tensor([steps, steps // 3])
    results: list[Tensors] = []

    def keep(outputs: Mapping[str, Tensor | None], leaves: Tensors) -> None:
        present = {name: value for name, value in outputs.items() if value is not None}
        results.extend((present, gradients(present, leaves)))

    for surrogate in surrogates:
        for reset, detach in (("soft", True), ("soft", False), ("hard", False), ("none", True)):
            t = leaf(real, real)
            options = {"reset": reset, "detach_reset": detach, "return_membrane": True}
            keep(lif(**t, **options, surrogate=surrogate)._asdict(), t)
        t = leaf(real, real)
        ring = resonate(
            t["x"], t["beta"], 2 * t["beta"], (t["v0"], t["v0"]),
            surrogate=surrogate, lengths=lengths,
        )  # fmt: skip
        keep(ring._asdict(), t)
        t = leaf(real, ["x"])
        keep({"spikes": spike(t["x"], 0.3, surrogate=surrogate)}, t)
    turn = torch.polar(torch.ones_like(real["beta"]), 3 * real["beta"])
    for a in (real["beta"], real["beta"] * turn):
        for multiplier in (a, a.expand_as(real["x"])):
            t = leaf({"a": multiplier, "b": real["x"], "h0": real["v0"]}, ["a", "b", "h0"])
            keep(linear_scan(**t, lengths=lengths)._asdict(), t)
    fired = (real["x"] > 0.5).to(real["x"])
    for s in (fired, fired * real["x"].round()):
        t = leaf({"s": s, "weight": real["x"][0], "bias": real["x"][0, :, 0]}, ["weight", "bias"])
        keep({"y": spike_linear(**t)}, t)
    t = leaf({"x": real["x"], "weight": real["beta"], "bias": real["beta"]}, ["x", "weight"])
    keep(batch_norm(**t, lengths=lengths)._asdict(), t)
    key = torch.arange(len(real["x"]))
    turned = ssm.channels(real["x"], real["x"].shape[1] + 9)
    back = ssm.sequences(turned, real["x"].shape[1])
    results.append({"s": bernoulli(real["x"], key, key), "turned": turned, "back": back})
    return results


def digest(results: list[Tensors]) -> str:
    total = hashlib.sha256()
    for group in results:
        for name, value in group.items():
            plain = torch.view_as_real(value) if value.is_complex() else value
            total.update(name.encode())
            total.update(plain.detach().contiguous().numpy().tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(level(), *(digest(every_kernel(dtype)) for dtype in (torch.float32, torch.float64)))
