"""Pass tensors to the compiled kernels."""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from spikescan.ops._core.cpu.library import library, of_another_version, openmp

# Waking threads that wait costs microseconds, starting one some tens: below this many elements, or
# this many a thread, it does not pay.
_ELEMENTS_TO_WAKE = 1 << 15
_ELEMENTS_TO_START = 1 << 16
# Large pages are asked for from this size on; below it memory usually comes from a warm heap.
_HUGE_BYTES = 8 << 20

# Values of which :func:`once` keeps the results: those of the neurons of a large network.
_KEPT = 256

_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}
# Types of fields that are numbers, as the module struct writes them, and of those that are tensors
# of another type than the kernel's own, REAL.
_NUMBERS = {"int64_t": "q", "strides": "3q", "double": "d"}
_DTYPES = {
    "float64": torch.float64,
    "int64": torch.int64,
    "uint8": torch.uint8,
}


class Place(NamedTuple):
    """Where a field is in a kernel's arguments, counted in words of 8 bytes."""

    word: int
    dtype: torch.dtype | None
    """Of a tensor; None for a number."""
    itemsize: int
    """Bytes of one of the tensor's numbers."""
    strides: int | None
    """Where the strides of a tensor of any strides go; all others are contiguous."""
    flag: int | None
    """Where it is told that a tensor which may be absent is there."""


class Layout(NamedTuple):
    """The arguments of an op's kernels, as their C struct has them."""

    pack: Callable[..., bytes]
    """From the numbers of all words to the memory of the struct."""
    words: list[float]
    """The words of a struct of zeros."""
    places: dict[str, Place]


class _Named(ctypes.Structure):
    """``named`` of the C sources: a field at an offset, or a constant."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_char_p),
        ("value", ctypes.c_int64),
        ("size", ctypes.c_int64),
    ]


def _listed(name: str) -> Iterator[_Named]:
    """The entries of a list that the library exports, and the one without a name that ends it."""
    try:
        first = _Named.in_dll(library(), name)
    except ValueError as error:
        raise RuntimeError(of_another_version(name)) from error
    table = ctypes.cast(ctypes.byref(first), ctypes.POINTER(_Named))
    at = 0
    while table[at].name is not None:
        yield table[at]
        at += 1
    yield table[at]


@functools.cache
def layout(op: str, dtype: torch.dtype = torch.float32) -> Layout:
    """The arguments of the kernels of ``op``, from ``LAYOUT`` in its C source."""
    *fields, end = _listed(f"spikescan_{op}_layout_{_SUFFIX[dtype]}")
    kinds = {field.name.decode(): field.type.decode() for field in fields}
    packed = struct.Struct("".join(_NUMBERS.get(kind, "P") for kind in kinds.values()))
    if packed.size != end.value:
        raise RuntimeError(f"LAYOUT({op}, ...) must list all fields of {op}_args, in their order")
    word = {field.name.decode(): field.value // 8 for field in fields}
    places: dict[str, Place] = {}
    for name, at in word.items():
        due = None if kinds[name] in _NUMBERS else _DTYPES.get(kinds[name], dtype)
        places[name] = Place(
            at,
            due,
            due.itemsize if due else 0,
            word.get(f"{name}_stride"),
            word.get(f"has_{name}"),
        )
    return Layout(packed.pack, [0] * (packed.size // 8), places)


@functools.cache
def constants(op: str, dtype: torch.dtype = torch.float32) -> dict[str, int]:
    """Constants of the kernels of ``op``, from ``CONSTANTS`` in its C source."""
    *listed, _ = _listed(f"spikescan_{op}_constants_{_SUFFIX[dtype]}")
    return {constant.name.decode(): constant.value for constant in listed}


def sizes(x: Tensor) -> dict[str, int]:
    """The fields every kernel has: the shape and the number of threads."""
    batch, steps, channels = x.shape
    threads = threads_for(batch * steps * channels)
    return {"B": batch, "T": steps, "D": channels, "threads": threads}


def threads_for(elements: int) -> int:
    """How many threads a kernel over this many elements uses: torch's setting, fewer when small."""
    if elements < _ELEMENTS_TO_WAKE:
        return 1
    threads = torch.get_num_threads()
    if openmp() is not None:
        return threads
    return min(threads, max(1, elements // _ELEMENTS_TO_START))


Empty = Callable[..., Tensor]
"""Makes an output, as :func:`fresh` and :func:`fake` do."""


def fresh(shape: Sequence[int], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """An uninitialised output, on large pages when it is large."""
    if dtype is not None and dtype is not like.dtype:
        out = like.new_empty(shape, dtype=dtype)
    elif like.shape == shape:
        out = torch.empty_like(like, memory_format=torch.contiguous_format)
    else:
        out = like.new_empty(shape)
    size = out.nbytes
    if size >= _HUGE_BYTES:
        library().spikescan_advise_huge(ctypes.c_void_p(out.data_ptr()), ctypes.c_int64(size))
    return out


def fake(shape: Sequence[int], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """What :func:`fresh` gives, for tracing."""
    return like.new_empty(shape, dtype=dtype)


def once(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``make(dtype, *tensors)``, run once for the same values of small tensors on the CPU.

    They are known by their bytes, so that no change of a tensor, in place or past autograd, is
    missed. What is returned is only read.
    """
    made = dict[tuple[object, ...], Tensor]()

    def kept(dtype: torch.dtype, *tensors: Tensor) -> Tensor:
        key: list[object] = [dtype]
        for tensor in tensors:
            dense = tensor if tensor.is_contiguous() else tensor.contiguous()
            key += (dense.dtype, ctypes.string_at(dense.data_ptr(), dense.nbytes))
        found = made.get(values := tuple(key))
        if found is None:
            if len(made) >= _KEPT:
                made.clear()
            found = made[values] = make(dtype, *tensors)
        return found

    return kept


def run(kernel: str, dtype: torch.dtype, given: Any = None, /, **fields: Any) -> None:
    """Run the C function ``kernel`` compiled for ``dtype``; the interpreter lock is released.

    Here every tensor is checked on its way to C, where it is a bare address. One whose memory is
    absent (the zeros that autograd hands out) or not aligned to its numbers is copied first.

    Args:
        kernel: its name, as in ``KERNEL(name)`` of the C sources: that of its op and another word.
        dtype: floating type of the kernel, that of all tensors that are ``void *`` there.
        given: a NamedTuple of fields of the C struct.
        fields: more of them, by name.

    A tensor fills its strides and its flag too where the struct has them, and is made contiguous
    where it has no strides. None is an absent tensor.

    Raises:
        TypeError: a tensor is of another dtype.
        ValueError: a tensor is not in the memory of the CPU.
    """
    function, (pack, zeros, places) = _function(kernel, dtype)
    words = zeros.copy()
    copies: list[Tensor] = []
    named: Iterable[tuple[str, Any]] = fields.items()
    if given is not None:
        named = chain(zip(given._fields, given, strict=True), named)
    for name, value in named:
        if value is None:
            continue
        at, due, itemsize, strides, flag = places[name]
        if due is None:
            words[at] = value
            continue
        if value.dtype is not due or not value.is_cpu:
            _refuse(kernel, name, value, due)
        if strides is None and not value.is_contiguous():
            value = value.contiguous()
            copies.append(value)
        pointer = value.data_ptr()
        if pointer % itemsize or (not pointer and value.numel()):
            value = value.clone()
            copies.append(value)
            pointer = value.data_ptr()
        words[at] = pointer
        if strides is not None:
            words[strides : strides + 3] = value.stride()
        if flag is not None:
            words[flag] = 1
    function(pack(*words))


@functools.cache
def _function(kernel: str, dtype: torch.dtype) -> tuple[Callable[..., None], Layout]:
    name = f"spikescan_{kernel}_{_SUFFIX[dtype]}"
    try:
        function = getattr(library(), name)
    except AttributeError as error:
        raise RuntimeError(of_another_version(name)) from error
    function.argtypes, function.restype = (ctypes.c_char_p,), None
    return function, layout(kernel.rpartition("_")[0], dtype)


def _refuse(kernel: str, name: str, value: Tensor, due: torch.dtype) -> NoReturn:
    if not value.is_cpu:
        raise ValueError(f"{kernel}: {name} must be on the CPU, got device {value.device}")
    raise TypeError(f"{kernel}: {name} must be {due}, got {value.dtype}")
