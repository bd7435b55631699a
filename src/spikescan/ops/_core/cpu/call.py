"""Pass tensors to the compiled kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from spikescan.ops._core.cpu.library import library, openmp

SPAN = 64
"""Steps between two checkpoints of the state; the C sources' SPAN."""

# Waking threads that wait costs microseconds, starting one some tens: below this many elements, or
# this many a thread, it does not pay.
_ELEMENTS_TO_WAKE = 1 << 15
_ELEMENTS_TO_START = 1 << 16
# Large pages are asked for from this size on; below it memory usually comes from a warm heap.
_HUGE_BYTES = 8 << 20

_STRIDES = ctypes.c_int64 * 3


class KernelArguments(ctypes.Structure):
    """Base of the argument structures, whose layout is that of the C structs."""


def pointers(*names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_void_p) for name in names]


def strides(*names: str) -> list[tuple[str, type]]:
    return [(f"{name}_stride", _STRIDES) for name in names]


def integers(*names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_int64) for name in names]


def doubles(*names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_double) for name in names]


def address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def strided(name: str, tensor: Tensor | None) -> dict[str, Any]:
    """The two fields of an optional strided tensor."""
    if tensor is None:
        return {}
    return {name: tensor.data_ptr(), f"{name}_stride": strides_of(tensor)}


def sizes(x: Tensor) -> dict[str, int]:
    """The fields every kernel has: the shape and the number of threads."""
    batch, steps, channels = x.shape
    return {"B": batch, "T": steps, "D": channels, "threads": threads_for(x.numel())}


def strides_of(tensor: Tensor) -> ctypes.Array[ctypes.c_int64]:
    return _STRIDES(*tensor.stride())


def threads_for(elements: int) -> int:
    """How many threads a kernel over this many elements uses: torch's setting, fewer when small."""
    threads = torch.get_num_threads()
    if openmp() is not None:
        return threads if elements >= _ELEMENTS_TO_WAKE else 1
    return min(threads, max(1, elements // _ELEMENTS_TO_START))


def fresh(shape: Iterable[int], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """An uninitialised output, on large pages when it is large."""
    out = torch.empty(tuple(shape), dtype=dtype or like.dtype, device=like.device)
    size = out.numel() * out.element_size()
    if size >= _HUGE_BYTES:
        library().spikescan_advise_huge(ctypes.c_void_p(out.data_ptr()), ctypes.c_int64(size))
    return out


def fake(shape: Iterable[int], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """What :func:`fresh` gives, for tracing."""
    return like.new_empty(tuple(shape), dtype=dtype or like.dtype)


def call(name: str, dtype: torch.dtype, arguments: KernelArguments) -> None:
    """Run the kernel ``name`` compiled for ``dtype``; the interpreter lock is released."""
    suffix = {torch.float32: "f32", torch.float64: "f64"}[dtype]
    getattr(library(), f"spikescan_{name}_{suffix}")(ctypes.byref(arguments))
