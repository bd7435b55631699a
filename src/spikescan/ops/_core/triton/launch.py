"""Run the Triton kernels on tensors."""

# Triton may be absent where types are checked.
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import triton
from torch import Tensor

from spikescan.ops._core.triton import tile

DEVICES = ("cuda", "cpu")
"""Where the operators are registered; on the CPU only Triton's interpreter can run them."""

INTERPRETED = not isinstance(tile.place, triton.JITFunction)
"""Whether TRITON_INTERPRET=1 was set when Triton was imported: then kernels run on a CPU."""

LANES = 32
"""Channels a program carries through time: one warp, one channel a thread. The steps loaded ahead
keep memory busy, so wider loads have nothing to add, and no alignment or stride is special."""

OPTIONS = {"num_warps": 1, "enable_fp_fusion": False}
"""Multiplication and addition contracted into one rounding would alone change spikes."""


def blocks(lanes: int) -> int:
    """Programs that share out the channels of a row."""
    return -(-lanes // LANES)


def launch(kernel: Any, grid: int, like: Tensor, *arguments: Any, **constants: Any) -> None:
    """Start ``grid`` programs on the device of ``like``."""
    with torch.cuda.device_of(like):
        kernel[(grid,)](*arguments, **constants, LANES=LANES, **OPTIONS)


def strides(tensor: Tensor | None) -> tuple[int, ...]:
    """The strides of a (B, T, D) tensor that may be absent."""
    return (0, 0, 0) if tensor is None else tensor.stride()


def dense(tensor: Tensor | None) -> Tensor | None:
    """A small tensor that may be absent, as kernels read it: contiguous."""
    return None if tensor is None else tensor.contiguous()


def fresh(shape: Iterable[int], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """An uninitialised output."""
    return like.new_empty(tuple(shape), dtype=dtype or like.dtype)
