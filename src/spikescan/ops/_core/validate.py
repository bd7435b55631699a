"""Validation shared by the public ops: errors that name the argument, what came, what was due."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spikescan.ops._core.cpu.library import BUILT, MISSING, bfloat16
from spikescan.ops._core.registration import differentiated, has_tangent, recording

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def _has_triton() -> bool:
    if importlib.util.find_spec("triton") is None:
        return False
    major, minor = importlib.metadata.version("triton").split(".")[:2]
    return (int(major), int(minor)) >= (3, 6)


TRITON = _has_triton()
"""Whether Triton is installed, in a version whose language the kernels are written in."""

FAST_BFLOAT16 = bfloat16() is not None
"""Whether bfloat16 products are faster here than float32 ones; a constant, which compilers take."""


def tensor(name: str, value: object, like: Tensor | None = None) -> None:
    """Refuse what a kernel could not read: no tensor, not dense, or not on the device of ``like``.

    Every tensor argument of every op passes here, directly or through a check below.
    """
    if not isinstance(value, Tensor):
        hint = "; pad it, and give its lengths" if type(value).__name__ == "PackedSequence" else ""
        raise TypeError(f"{name} must be a tensor, got a {type(value).__name__}{hint}")
    if value.layout is not torch.strided:
        raise ValueError(f"{name} must be dense, got layout {value.layout}")
    if like is not None and value.device != like.device:
        raise ValueError(
            f"{name} must be on the device of the input, {like.device}, got {value.device}"
        )


def kind(name: str, value: object, expected: type) -> None:
    """Refuse what is not of the type that is expected."""
    if not isinstance(value, expected):
        came = f"a {type(value).__name__}"
        hint = "; lengths go by name: lengths=..." if isinstance(value, Tensor) else ""
        raise TypeError(f"{name} must be None or a {expected.__name__}, got {came}{hint}")


def sequence(name: str, x: Tensor, dtypes: Sequence[torch.dtype] = FLOATS) -> tuple[int, int, int]:
    """(B, T, D) of a sequence tensor, or the error that says what is wrong with it."""
    tensor(name, x)
    shape = x.shape
    if len(shape) != 3:
        raise ValueError(f"{name} must have shape (B, T, D), got {tuple(shape)}")
    if x.dtype not in dtypes:
        expected = ", ".join(str(d).removeprefix("torch.") for d in dtypes)
        raise TypeError(f"{name} must be one of {expected}, got {x.dtype}")
    if shape[2] == 0:
        raise ValueError(f"{name} must have at least one channel, got shape {tuple(shape)}")
    return shape[0], shape[1], shape[2]


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which a scan keeps its state: at least float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def per_channel(
    name: str, value: Tensor | float, x: Tensor, dtype: torch.dtype | None = None
) -> Tensor:
    """A scalar or (D,) parameter as a (D,) tensor of the scan's dtype; without one in its own."""
    if isinstance(value, Tensor):
        if value.is_complex():
            raise TypeError(f"{name} must be real, got {value.dtype}")
        # As everywhere in torch, a single number on the CPU goes with any device.
        tensor(name, value, None if value.ndim == 0 and value.is_cpu else x)
        given, wide = value, dtype or value.dtype
        if given.dtype is not wide or given.device != x.device:
            given = given.to(x.device, wide)
    else:
        # Straight to the scan's dtype: by way of float32 a number would lose digits.
        given = torch.tensor(value, device=x.device, dtype=dtype or torch.float64)
    shape, channels = given.shape, x.shape[2]
    if len(shape) == 1 and shape[0] == channels:
        return given
    if shape:
        raise ValueError(f"{name} must be a number or have shape ({channels},), got {tuple(shape)}")
    return given.expand(channels)


def number_or_each(
    name: str, value: Tensor | float, x: Tensor, dtype: torch.dtype
) -> Tensor | float:
    """A finite number as it is, which costs kernels nothing, or a tensor as :func:`per_channel`."""
    if isinstance(value, Tensor):
        return per_channel(name, value, x, dtype)
    if not torch.compiler.is_compiling() and not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return float(value)


def state(name: str, value: Tensor | None, x: Tensor, dtype: torch.dtype) -> Tensor | None:
    """An initial state (B, D) in the scan's dtype, or None for rest."""
    if value is None:
        return None
    tensor(name, value, x)
    batch, _, channels = x.shape
    if value.shape != (batch, channels):
        raise ValueError(f"{name} must have shape ({batch}, {channels}), got {tuple(value.shape)}")
    if value.dtype is dtype:
        return value
    if value.is_complex() and not dtype.is_complex:
        raise TypeError(f"{name} must be real, got {value.dtype}")
    return value.to(dtype)


def step(
    x: object,
    parameters: Sequence[Tensor],
    state: Sequence[object],
    window: tuple[object, int] | None = None,
    others: Sequence[Tensor] = (),
) -> bool:
    """Whether a kernel takes x, one step (B, 1, D), as it is, and no derivative is asked for.

    The parameters are (D,) each, the parts of the state (B, D), or None at rest. A ``window`` is
    the last inputs, (B, n, D) or None, and n. ``others`` are looked at for derivatives alone. What
    does not fit is not refused here, but where whole sequences are run.
    """
    if type(x) is not Tensor or x.ndim != 3 or x.shape[1] != 1 or not BUILT or recording():
        return False
    (batch, _, channels), dtype = x.shape, x.dtype
    if (dtype is not torch.float32 and dtype is not torch.float64) or not x.is_cpu:
        return False
    for parameter in parameters:
        if parameter.shape != (channels,) or not parameter.is_cpu:
            return False
    for part in state:
        if part is not None and not _carried(part, (batch, channels), dtype):
            return False
    if window is not None:
        inputs, count = window
        if inputs is not None and not _carried(inputs, (batch, count, channels), dtype):
            return False
        state = (*state, inputs)
    tensors: tuple[Any, ...] = (x, *parameters, *state, *others)
    return not (differentiated(tensors) or has_tangent(tensors))


def _carried(part: object, shape: tuple[int, ...], dtype: torch.dtype) -> bool:
    return type(part) is Tensor and part.dtype is dtype and part.shape == shape and part.is_cpu


def _bounds(values: Tensor) -> tuple[int, int] | None:
    """The least and the greatest of whole numbers; None where values are not to be known."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or values.is_meta:  # pyright: ignore[reportPrivateImportUsage]
        return None
    if values.numel() == 0:
        return 0, 0
    try:
        return int(values.min()), int(values.max())
    except RuntimeError:  # a tracer, or torch.vmap
        return None


def valid_lengths(lengths: Tensor | Sequence[int] | None, x: Tensor) -> Tensor | None:
    """Number of valid steps of each row, (B,) int64, on the input's device; None means all T.

    Lists and numpy arrays are taken as they are. Compiled and traced code cannot raise for a value,
    so there lengths are clamped to 0..T.
    """
    if lengths is None:
        return None
    if not isinstance(lengths, Tensor):
        lengths = torch.as_tensor(lengths)
    tensor("lengths", lengths, x if lengths.is_meta else None)
    if lengths.shape != x.shape[:1] or lengths.dtype not in WHOLE:
        raise ValueError(
            f"lengths must be whole numbers of shape ({x.shape[0]},), got {lengths.dtype} "
            f"of shape {tuple(lengths.shape)}"
        )
    bounds = _bounds(lengths)
    if bounds is None:
        lengths = lengths.to(torch.int64).clamp(0, x.shape[1])
    elif bounds[0] < 0 or bounds[1] > x.shape[1]:
        raise ValueError(f"lengths must lie in 0..T = {x.shape[1]}, got {bounds[0]}..{bounds[1]}")
    return lengths.to(device=x.device, dtype=torch.int64).contiguous()


def few(lengths: Tensor, least: int) -> bool:
    """Whether lengths add up to fewer steps than ``least``; False where values are not known."""
    total = _bounds(lengths.sum().reshape(1))
    return total is not None and total[0] < least


def choose(impl: str, x: Tensor, offered: Sequence[str], beyond: str | None = None) -> str:
    """The implementation to run, from the device, the dtype and what the kernels can express.

    ``auto`` is "triton" for tensors on a CUDA device when Triton is installed, "cpu" for tensors on
    the CPU when the compiled kernels are, and "reference" otherwise. Any other name is taken as it
    is: it runs or raises, it never falls back. ``beyond`` names what is asked for and no fused
    kernel can express: then ``auto`` is "reference", and "cpu" and "triton" raise.
    """
    if impl == "auto":
        if beyond is not None:
            return "reference"
        if x.is_cuda and TRITON and "triton" in offered:
            return "triton"
        return "cpu" if x.is_cpu and BUILT else "reference"
    if impl not in offered:
        raise ValueError(f"impl must be 'auto' or one of {tuple(offered)}, got {impl!r}")
    if beyond is not None and impl in ("cpu", "triton"):
        raise ValueError(f"impl={impl!r} cannot run {beyond}; use impl='reference' or 'auto'")
    if impl == "cpu" and not BUILT:
        raise RuntimeError(MISSING)
    if impl == "cpu" and not x.is_cpu:
        raise ValueError(f"impl='cpu' needs tensors on the CPU, got device {x.device}")
    if impl == "triton" and not TRITON:
        raise RuntimeError("impl='triton' needs Triton 3.6 or later: pip install spikescan[triton]")
    if impl == "triton" and x.device.type != "cuda" and not _interpreted(x):
        raise ValueError(
            f"impl='triton' needs tensors on a CUDA device, got device {x.device}; on the CPU "
            "it runs in Triton's interpreter alone, with TRITON_INTERPRET=1 set from the start"
        )
    return impl


def choose_uniform(impl: str, *tensors: Tensor | None) -> str:
    """The implementation of an op whose kernel takes tensors of one dtype, float32 or float64.

    ``auto`` is as in :func:`choose`, but "reference" as well for other dtypes; "cpu" raises there.
    """
    present = [t for t in tensors if t is not None]
    dtypes = {t.dtype for t in present}
    run = choose(impl, present[0], ("reference", "cpu"))
    fits = dtypes in ({torch.float32}, {torch.float64})
    if impl == "cpu" and not fits:
        raise ValueError(
            "impl='cpu' needs all tensors in float32 or all in float64, "
            f"got {', '.join(sorted(map(str, dtypes)))}"
        )
    return run if fits else "reference"


def mixed_precision(x: Tensor) -> torch.dtype | None:
    """The dtype that autocast gives products of tensors on x's device, if that is the CPU."""
    if not (x.is_cpu and torch.is_autocast_enabled("cpu")):
        return None
    return torch.get_autocast_dtype("cpu")


def _interpreted(x: Tensor) -> bool:
    """Whether Triton's interpreter stands in for a GPU. Triton is imported when first needed."""
    from spikescan.ops._core.triton.launch import INTERPRETED

    return x.device.type == "cpu" and INTERPRETED
