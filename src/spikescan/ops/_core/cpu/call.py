"""Pass tensors to the compiled kernels."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NoReturn

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

    dtypes: ClassVar[dict[str, torch.dtype]] = {}
    """Of the tensors that are not of the kernel's own floating type."""
    strided: ClassVar[frozenset[str]]
    """Tensors of any strides; all others are contiguous."""
    optional: ClassVar[frozenset[str]]
    """Tensors that may be absent, or not asked for."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        names = [name for name, _ in cls.__dict__["_fields_"]]
        cls.strided = frozenset(n[:-7] for n in names if n.endswith("_stride"))
        cls.optional = frozenset(n[4:] for n in names if n.startswith("has_"))


def pointers(*names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_void_p) for name in names]


def strides(*names: str) -> list[tuple[str, type]]:
    return [(f"{name}_stride", _STRIDES) for name in names]


def flags(*names: str) -> list[tuple[str, type]]:
    """Whether each of these tensors is there; the pointer of an empty one is null as well."""
    return integers(*(f"has_{name}" for name in names))


def integers(*names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_int64) for name in names]


def doubles(*names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_double) for name in names]


def sizes(x: Tensor) -> dict[str, int]:
    """The fields every kernel has: the shape and the number of threads."""
    batch, steps, channels = x.shape
    return {"B": batch, "T": steps, "D": channels, "threads": threads_for(x.numel())}


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


def run(
    kernel: str, arguments: type[KernelArguments], dtype: torch.dtype, /, **fields: Any
) -> None:
    """Run the C function ``kernel`` compiled for ``dtype``; the interpreter lock is released.

    Here every tensor is checked on its way to C, where it is a bare address. One whose memory is
    absent (the zeros that autograd hands out) or not aligned to its numbers is copied first.

    Args:
        kernel: its name, as in ``KERNEL(name)`` of the C sources.
        arguments: the C struct.
        dtype: floating type of the kernel, that of all tensors but ``arguments.dtypes``.
        fields: of the struct, by name. A tensor fills its strides and its flag too where the struct
            has them, and is made contiguous where it has no strides. None is an absent tensor.

    Raises:
        TypeError: a tensor is of another dtype.
        ValueError: a tensor is not in the memory of the CPU.
    """
    struct, strided, optional, held = arguments(), arguments.strided, arguments.optional, []
    for name, value in fields.items():
        if not isinstance(value, Tensor):
            if value is not None:
                setattr(struct, name, value)
            continue
        due = arguments.dtypes.get(name, dtype)
        if value.dtype is not due or not value.is_cpu:
            _refuse(kernel, name, value, due)
        tensor = value if name in strided else value.contiguous()
        pointer = tensor.data_ptr()
        if pointer % due.itemsize or (not pointer and tensor.numel()):
            tensor = tensor.clone()
            pointer = tensor.data_ptr()
        held.append(tensor)
        setattr(struct, name, pointer)
        if name in strided:
            setattr(struct, f"{name}_stride", _STRIDES(*tensor.stride()))
        if name in optional:
            setattr(struct, f"has_{name}", 1)
    _function(kernel, dtype)(ctypes.byref(struct))


@functools.cache
def _function(kernel: str, dtype: torch.dtype) -> Callable[..., None]:
    suffix = {torch.float32: "f32", torch.float64: "f64"}[dtype]
    return getattr(library(), f"spikescan_{kernel}_{suffix}")


def _refuse(kernel: str, name: str, value: Tensor, due: torch.dtype) -> NoReturn:
    if not value.is_cpu:
        raise ValueError(f"{kernel}: {name} must be on the CPU, got device {value.device}")
    raise TypeError(f"{kernel}: {name} must be {due}, got {value.dtype}")
