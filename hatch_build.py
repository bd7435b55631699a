"""Compile the CPU kernels while the wheel (or the editable install) is built.

The same C sources become one small library for each CPU level; the loader picks one at import.
Every ``ops/*/kernel.inc.h`` is compiled for float and for double. The system's C compiler is used
when there is one; otherwise the build asks for ``ziglang``, whose bundled clang needs nothing else.
A compiler that fails stops the build with its message. One that warns does not, as compilers to
come will warn of other things, unless ``SPIKESCAN_WERROR`` is set, as it is in our checks.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # tests compile without building a wheel
    BuildHookInterface = object  # type: ignore[assignment,misc]

OPS = Path("src/spikescan/ops")
NATIVE = OPS / "_core" / "cpu"
X86 = {"amd64", "x86_64"}
ARM = {"arm64", "aarch64"}
# level -> (flags for a gcc-like compiler, zig's name for the CPU)
LEVELS = {
    "sse2": (["-march=x86-64"], "x86_64"),
    "avx2": (["-march=x86-64", "-mavx2", "-mbmi"], "x86_64_v3"),
    "avx512": (
        ["-march=x86-64", "-mavx2", "-mbmi", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"],
        "x86_64_v4",
    ),
    "neon": ([], "generic"),
    "generic": ([], "baseline"),
}
# No contraction: a fused multiply-add rounds once where the reference loop rounds twice, and one
# differently rounded membrane is one differing spike.
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fvisibility=hidden"]
WARNINGS = ["-Wall", "-Wextra", "-Wno-psabi"]
# A kernel is written for REAL; these are its two meanings, float being the headers' own.
TYPES = {
    "f32": [],
    "f64": ["-DREAL=double", "-DREAL_BYTES=8", "-DMASK_INT=int64_t", "-DSUFFIX=f64"],
}
# Out of bounds, misaligned, overflowing: the first such access ends the process with its place.
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]


def system_compiler() -> list[str] | None:
    """The C compiler named by CC or found on the path; None on Windows, where MSVC lacks the
    vector extensions that the kernels are written in."""
    if os.environ.get("CC"):
        return os.environ["CC"].split()
    found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    return None if found is None or sys.platform == "win32" else [found]


def levels() -> list[str]:
    machine = platform.machine().lower()
    if machine in X86:
        return ["sse2", "avx2", "avx512"]
    return ["neon"] if machine in ARM else ["generic"]


def suffix() -> str:
    return {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def stale(target: Path) -> list[str]:
    """Levels to compile. An editable install runs the hook twice; the second finds nothing."""
    newest = max(file.stat().st_mtime for file in [*OPS.rglob("*.[ch]"), Path(__file__)])

    def fresh(level: str) -> bool:
        library = target / f"{level}{suffix()}"
        return library.exists() and library.stat().st_mtime > newest

    return [level for level in levels() if not fresh(level)]


def sources() -> dict[str, tuple[Path, list[str]]]:
    """What is compiled by itself, by the name of its object file: the file and its own flags."""
    kernels = {
        f"{file.parent.name}-{kind}": (file, flags)
        for file in sorted(OPS.glob("*/kernel.inc.h"))
        for kind, flags in TYPES.items()
    }
    return kernels | {file.stem: (file, []) for file in sorted(NATIVE.glob("*.c"))}


def run(command: list[str]) -> str:
    """Run a compiler and return its warnings.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"compiling the kernels failed ({' '.join(command)}):\n{done.stdout}{done.stderr}"
        )
    return done.stderr


def compile_level(level: str, target: Path, *, sanitize: bool = False) -> str:
    """Compile the library of a level and return what the compiler had to warn of."""
    flags, zig_cpu = LEVELS[level]
    compiler = system_compiler()
    if compiler is None:
        # zig builds for the CPU at hand unless told otherwise.
        compiler = [sys.executable, "-m", "ziglang", "cc"]
        flags = ["-fno-sanitize=undefined", f"-mcpu={zig_cpu}"]
    flags = [*FLAGS, *flags, *WARNINGS, *(SANITIZERS if sanitize else ())]
    if os.environ.get("SPIKESCAN_WERROR"):
        flags.append("-Werror")
    if sys.platform != "win32":
        flags.append("-fPIC")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = {str(Path(folder, f"{name}.o")): unit for name, unit in sources().items()}
        warned = pool.map(
            lambda out: run(
                [
                    *compiler,
                    *flags,
                    *objects[out][1],
                    "-x",
                    "c",
                    "-c",
                    str(objects[out][0]),
                    "-o",
                    out,
                ]
            ),
            objects,
        )
        # A running process may hold the old library: write beside it, then replace.
        output = target / f"{level}.new"
        pthread = [] if sys.platform == "win32" else ["-lpthread"]
        said = "".join(warned)
        said += run([*compiler, *flags, "-shared", *objects, "-o", str(output), *pthread])
    output.replace(target / f"{level}{suffix()}")
    return said


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled libraries to the wheel and gives the wheel its platform's tag."""

    def dependencies(self) -> list[str]:
        return [] if system_compiler() else ["ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        os.chdir(self.root)
        target = NATIVE / "lib"
        target.mkdir(exist_ok=True)
        for level in stale(target):
            if warned := compile_level(level, target):
                self.app.display_warning(warned)
        tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag}"
