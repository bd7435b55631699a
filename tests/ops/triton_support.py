"""What the tests of the Triton kernels share: short spans, poisoned outputs, the comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
import torch
from ops_support import Run, Tensors, gradients, leaf
from torch import Tensor

from spikescan.ops._core.triton import launch, segments
from spikescan.ops.dsn import triton as dsn_gpu
from spikescan.ops.lif import triton as lif_gpu
from spikescan.ops.linear_scan import triton as linear_gpu
from spikescan.ops.resonate import triton as resonate_gpu
from tolerance import ELEMENT, REORDERED, SUMMED, Table, Tolerance, assert_close

OPERATORS: tuple[ModuleType, ...] = (dsn_gpu, lif_gpu, linear_gpu, resonate_gpu)
SPAN = 2
"""The interpreter takes a fraction of a millisecond for each step: spans are short in these tests,
and the steps around their ends few."""
EDGES = (1, 2, 3, 6)
ONE_SEGMENT, SEGMENTS = 0, 1 << 15
HALF = {
    torch.bfloat16: Tolerance(2**-7, "Triton's interpreter cuts digits off where a GPU rounds"),
    torch.float16: ELEMENT[torch.float16],
}


def poisoned(shape: Iterable[int], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    return like.new_empty(tuple(shape), dtype=dtype or like.dtype).fill_(math.nan)


@contextmanager
def small_and_poisoned(many_lanes: int) -> Iterator[None]:
    """Short spans and segments, and NaN in every output that a kernel does not write."""
    with pytest.MonkeyPatch.context() as patch:
        for module in OPERATORS:
            patch.setattr(module, "SPAN", SPAN)
            patch.setattr(module, "fresh", poisoned)
        patch.setattr(segments, "fresh", poisoned)
        patch.setattr(segments, "_STEPS", 2)
        patch.setattr(segments, "SHORTEST", SPAN)
        patch.setattr(segments, "MANY_LANES", many_lanes)
        yield


def needs_interpreter() -> None:
    if not launch.INTERPRETED:
        pytest.skip("Triton was imported without its interpreter", allow_module_level=True)


def check(
    run: Run,
    tensors: Tensors,
    *,
    needs: Iterable[str] | None = None,
    summed: Iterable[str] = (),
    layout: str = "contiguous",
    exact: bool = True,
    table: Table = REORDERED,
) -> tuple[Tensors, Tensors]:
    """Kernel and loop agree: outputs bit for bit, or spikes so and the rest within the table."""
    needs = tensors.keys() if needs is None else set(needs)
    results: list[tuple[Tensors, Tensors]] = []
    for impl in ("triton", "reference"):
        leaves = leaf(tensors, needs)
        outputs = run(leaves, impl)
        results.append((outputs, gradients(outputs, leaves, layout=layout) if needs else {}))
    (got, grads), (due, due_grads) = results
    assert got.keys() == due.keys()
    for name, value in due.items():
        assert got[name].dtype == value.dtype, name
        # The carried inputs come out of the one operator that all gradients go through.
        tracked = got[name].requires_grad == value.requires_grad or name == "inputs"
        assert tracked or not value.numel(), name
        if exact or name == "spikes":
            assert torch.equal(got[name], value), f"{name} differs in {(got[name] != value).sum()}"
        else:
            assert_close(got[name], value, table, name)
    assert grads.keys() == due_grads.keys()
    for name, value in due_grads.items():
        limits = table if not exact else SUMMED if name in summed else ELEMENT
        limits = {**limits, **HALF}
        assert_close(grads[name], value, limits, f"gradient of {name}")
    return got, grads


def padded(lengths: Iterable[int], steps: int, tensors: Tensors, *names: str) -> Tensor:
    """Lengths, with NaN beyond them in the named sequences."""
    ends = torch.tensor(list(lengths))
    for name in names:
        tensors[name][torch.arange(steps) >= ends[:, None]] = math.nan
    return ends


def all_finite(*groups: dict[str, Any]) -> bool:
    return all(value.isfinite().all() for group in groups for value in group.values())
