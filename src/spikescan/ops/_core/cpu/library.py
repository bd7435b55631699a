"""Find, choose and load the compiled kernels."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import warnings
from pathlib import Path

LEVELS = ("generic", "neon", "sse2", "avx2", "avx512")
"""CPU levels, the least demanding first. All give the same numbers, bit for bit."""

_FOLDER = Path(__file__).with_name("lib")
_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
_PROCESS = os.getpid()


class NativeMissingWarning(UserWarning):
    """The compiled kernels are absent: everything works, through slow pure torch."""


def _path(name: str) -> Path:
    return _FOLDER / f"{name}{_SUFFIX}"


@functools.cache
def available_levels() -> tuple[str, ...]:
    """CPU levels that are both compiled and supported by this machine's processor, best last."""
    built = [name for name in LEVELS if _path(name).exists()]
    if not built:
        return ()
    # The first one runs everywhere it was built for, so it may be asked what the CPU can do.
    best = ctypes.CDLL(str(_path(built[0]))).spikescan_cpu_level()
    return tuple(built[: best + 1])


@functools.cache
def level() -> str | None:
    """The CPU level in use, or None without compiled kernels.

    The best available one, unless the environment variable ``SPIKESCAN_CPU_LEVEL`` names another
    when the first kernel is asked for. Levels differ in speed only, never in results.

    Raises:
        RuntimeError: the variable names a level that is unknown, not built or not supported here.
    """
    levels = available_levels()
    wanted = os.environ.get("SPIKESCAN_CPU_LEVEL")
    if wanted is None:
        return levels[-1] if levels else None
    if wanted not in levels:
        raise RuntimeError(
            f"SPIKESCAN_CPU_LEVEL is {wanted!r}; expected one of {', '.join(levels) or '(none)'}"
        )
    return wanted


@functools.cache
def library() -> ctypes.CDLL:
    """The loaded library of the level in use.

    Raises:
        RuntimeError: the package was installed without compiled kernels.
    """
    name = level()
    if name is None:
        raise RuntimeError(MISSING)
    loaded = ctypes.CDLL(str(_path(name)))
    if openmp() is not None:
        loaded.spikescan_use_openmp(openmp())
    return loaded


@functools.cache
def bfloat16() -> str | None:
    """Which instructions the processor has for products of bfloat16 numbers, None without any.

    ``vectors`` are those of AVX512-BF16, ``tiles`` those of AMX beside them; ``other`` ones, of
    arm64, are left to torch.

    Raises:
        RuntimeError: the compiled kernels are those of another version.
    """
    levels = available_levels()
    if not levels:
        return None
    try:
        ask = ctypes.CDLL(str(_path(levels[-1]))).spikescan_cpu_bfloat16
    except AttributeError as error:
        raise RuntimeError(of_another_version("spikescan_cpu_bfloat16")) from error
    return (None, "vectors", "tiles", "other")[ask()]


def of_another_version(missing: str) -> str:
    """What to say of kernels in which a name is missing that this version has."""
    return (
        f"the compiled kernels are not of this version, {missing} is not in them; build them again "
        "(pip install -e .)"
    )


def openmp() -> ctypes.c_void_p | None:
    """``GOMP_parallel`` of the OpenMP runtime whose threads torch computes on.

    None where it is hidden, and in a child forked since this module was imported.
    """
    # A fork does not copy threads: a child that asked for those of its parent would wait forever.
    return _gomp_parallel() if os.getpid() == _PROCESS else None


@functools.cache
def _gomp_parallel() -> ctypes.c_void_p | None:
    try:
        # torch loads its OpenMP runtime (GNU's, or another with GNU's entry points) for all to see.
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, ctypes.c_void_p)
    except (AttributeError, OSError, TypeError):  # TypeError: Windows knows no CDLL(None)
        return None


BUILT = any(_path(name).exists() for name in LEVELS)
"""Whether the package was installed with compiled kernels."""

MISSING = (
    f"spikescan's compiled CPU kernels are not in {_FOLDER}; reinstall the package to build them "
    "(pip install --force-reinstall --no-deps spikescan)"
)

if not BUILT:
    warnings.warn(
        f"{MISSING}. Until then everything runs through pure torch, slowly.",
        NativeMissingWarning,
        stacklevel=2,
    )
