"""What the tests of the ops share: drawn tensors, layouts, and kernel against reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from spikescan.ops.dsn.api import DSNOutput, DSNState
from spikescan.ops.lif import LIFOutput, LIFState, lif
from spikescan.ops.linear_scan.api import LinearScanOutput, LinearScanState
from spikescan.ops.resonate import ResonateOutput
from spikescan.ops.surrogate import SURROGATES
from support import seeded
from tolerance import CONTRACTED, ELEMENT, SUMMED, assert_close

Tensors = dict[str, Tensor]
# An op with everything chosen but its tensors and its implementation.
Run = Callable[[Tensors, str], Tensors]

ALL_SURROGATES = tuple(cls() for cls in SURROGATES)
LAYOUTS = ("contiguous", "time first", "channels last but one", "every other", "offset")
EXPANDED = ("over batch", "over time", "over channels", "everywhere")
BLOCK_EDGES = (1, 31, 63, 64, 65, 193)  # the state is saved every 64 steps


def normal(
    *shape: int, seed: int, dtype: torch.dtype = torch.float32, scale: float = 1, shift: float = 0
) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=dtype) * scale + shift


def uniform(
    low: float, high: float, *shape: int, seed: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    return torch.rand(shape, generator=seeded(seed), dtype=dtype) * (high - low) + low


def laid_out(x: Tensor, layout: str) -> Tensor:
    """The values of ``x`` (B, T, D) in memory of another order; expanded ones keep one of each."""
    batch, steps, channels = x.shape
    if layout == "contiguous":
        out = x.contiguous()
    elif layout == "time first":
        out = x.transpose(0, 1).contiguous().transpose(0, 1)
    elif layout == "channels last but one":
        out = x.transpose(1, 2).contiguous().transpose(1, 2)
    elif layout == "every other":
        out = x.new_full((2 * batch, 2 * steps, 2 * channels), torch.nan)[::2, 1::2, ::2]
        out.copy_(x)
    elif layout == "offset":
        out = x.new_full((batch + 1, steps + 2, channels + 3), torch.nan)[1:, 1:-1, 2:-1]
        out.copy_(x)
    else:
        first = {
            "over batch": x[:1],
            "over time": x[:, :1],
            "over channels": x[:, :, :1],
            "everywhere": x[:1, :1, :1],
        }[layout]
        return first.contiguous().expand(x.shape)
    assert torch.equal(out, x)
    return out


def gradients(
    outputs: Tensors, leaves: Mapping[str, Tensor], seed: int = 99, layout: str = "contiguous"
) -> Tensors:
    """Gradients of a random weighting of the outputs, for the leaves that ask for one."""
    kept, weights = [], []
    for i, value in enumerate(outputs.values()):
        if not value.requires_grad:
            continue
        # Shapes are given in so many words: randn_like would follow the strides of the output.
        wide = torch.promote_types(value.dtype, torch.float32)
        weight = normal(*value.shape, seed=seed + i, dtype=wide).to(value.dtype)
        kept.append(value)
        weights.append(laid_out(weight, layout) if value.ndim == 3 else weight)
    wanted = {k: v for k, v in leaves.items() if v.requires_grad}
    got = torch.autograd.grad(kept, list(wanted.values()), weights, allow_unused=True)
    return {k: v for k, v in zip(wanted, got, strict=True) if v is not None}


def run_lif(t: Mapping[str, Tensor], **options: Any) -> LIFOutput:
    """LIF of x, beta and, where it is there, the state v0."""
    state = LIFState(t["v0"]) if "v0" in t else None
    return lif(t["x"], t["beta"], state, **options)


def flat(out: LIFOutput | ResonateOutput) -> Tensors:
    """Results by name, the parts of the state among them."""
    parts = {"spikes": out.spikes, **out.state._asdict()}
    return parts if out.membrane is None else {**parts, "membrane": out.membrane}


def leaf(tensors: Mapping[str, Tensor], needs: Iterable[str]) -> Tensors:
    return {k: v.detach().requires_grad_(k in needs) for k, v in tensors.items()}


def dsn_state(t: Tensors, taps: int = 1) -> DSNState | None:
    """The state of a test's tensors h0 and inputs, zeros where one is absent."""
    if "h0" not in t and "inputs" not in t:
        return None
    batch, _, channels = t["x"].shape
    h, inputs = t.get("h0"), t.get("inputs")
    return DSNState(
        torch.zeros(batch, channels).to(t["x"].dtype) if h is None else h,
        torch.zeros(batch, taps - 1, channels).to(t["x"].dtype) if inputs is None else inputs,
    )


def dsn_outputs(out: DSNOutput) -> dict[str, Tensor | None]:
    """A result by name, its state taken apart."""
    return {"spikes": out.spikes, **out.state._asdict(), "membrane": out.membrane}


def scan_state(h0: Tensor | None) -> LinearScanState | None:
    return None if h0 is None else LinearScanState(h0)


def scan_outputs(out: LinearScanOutput) -> Tensors:
    return {"h": out.h, "last": out.state.h}


def check_gradients(
    actual: Tensors, expected: Tensors, summed: Iterable[str], label: str = ""
) -> None:
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        table = SUMMED if name in summed else ELEMENT
        assert_close(actual[name], value, table, f"{label} gradient of {name}")


def check_against_reference(
    run: Run,
    tensors: Tensors,
    *,
    needs: Iterable[str] | None = None,
    summed: Iterable[str] = (),
    layout: str = "contiguous",
    exact: bool = True,
) -> tuple[Tensors, Tensors]:
    """Kernel and loop agree: outputs bit for bit, gradients within the table. Returns the kernel's.

    Outputs and gradients come from two separate sets of leaves, so nothing is shared.
    """
    needs = tensors.keys() if needs is None else set(needs)
    summed = set(summed)
    results = []
    for impl in ("cpu", "reference"):
        leaves = leaf(tensors, needs)
        outputs = run(leaves, impl)
        grads = gradients(outputs, leaves, layout=layout) if needs else {}
        results.append((outputs, grads))
    (outputs, grads), (expected, expected_grads) = results
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        got = outputs[name]
        assert got.dtype == value.dtype, name
        assert got.requires_grad == value.requires_grad or not got.numel(), name
        if exact:
            assert torch.equal(got, value), f"{name} differs in {(got != value).sum()} elements"
        else:
            assert_close(got, value, CONTRACTED, name)
    check_gradients(grads, expected_grads, summed)
    return outputs, grads
