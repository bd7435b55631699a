"""Run tests on kernels compiled with AddressSanitizer and UndefinedBehaviorSanitizer.

``python tests/ops/sanitize.py [LEVEL] [pytest arguments]`` copies the package to a temporary
folder, compiles one CPU level there (the best that this machine runs, unless named), and runs the
tests of the kernels on the copy; the package as it is installed stays as it is. It needs gcc or
clang with their sanitizers, on Linux. The first wrong access ends the run with its place in the C
source.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import hatch_build  # noqa: E402

# All tests of the ops but those of other kernels, of torch's tools, of processes and of long runs.
ELSEWHERE = ("triton", "torch", "dispatch", "native", "build", "surrogate", "exact")
TESTS = [
    str(path.relative_to(ROOT))
    for path in sorted(ROOT.glob("tests/ops/test_ops_*.py"))
    if not path.stem.removeprefix("test_ops_").startswith(ELSEWHERE)
]
TESTS += [
    "tests/stream",
    "--deselect=tests/stream/test_stream.py::test_memory_is_flat_over_a_hundred_thousand_steps",
]  # the sanitizer keeps what is freed


def found(compiler: list[str], name: str) -> str | None:
    """The path of one of the compiler's libraries."""
    path = subprocess.run(
        [*compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return path if Path(path).is_absolute() else None


def runtime(compiler: list[str]) -> str:
    """What must be in the process before all others: the sanitizer's library, and that of C++, or
    the sanitizer ends the process at torch's first exception."""
    for name in ("libasan.so", "libclang_rt.asan-x86_64.so", "libclang_rt.asan.so"):
        if path := found(compiler, name):
            return " ".join(filter(None, (path, found(compiler, "libstdc++.so"))))
    raise SystemExit(f"{' '.join(compiler)} has no AddressSanitizer to be found")


def main(arguments: list[str]) -> int:
    level = hatch_build.levels()[-1]
    if arguments and arguments[0] in hatch_build.LEVELS:
        level, *arguments = arguments
    compiler = hatch_build.system_compiler()
    if compiler is None:
        raise SystemExit("the sanitizers need gcc or clang on Linux")
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "spikescan")
        ignored = shutil.ignore_patterns("lib", "__pycache__")
        shutil.copytree(ROOT / "src" / "spikescan", package, ignore=ignored)
        target = package / hatch_build.NATIVE.relative_to("src/spikescan") / "lib"
        target.mkdir()
        os.chdir(ROOT)
        hatch_build.compile_level(level, target, sanitize=True)
        environment = os.environ | {
            "LD_PRELOAD": runtime(compiler),
            "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter's own
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "SPIKESCAN_CPU_LEVEL": level,
            "PYTHONPATH": folder,
        }
        # What a sanitizer says goes past Python, to where pytest would keep it for itself.
        options = ["-q", "-x", "--capture=sys", "-m", "not slow", "-p", "no:cacheprovider"]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options, *(arguments or TESTS)],
            env=environment,
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
