"""Compile every Triton kernel for an NVIDIA H100 or H200 without one, and tell what came out.

Run by test_ops_triton_compiler.py in a process of its own, since the interpreter must be off. The
operators run as they are, but that a launch compiles its kernel instead of starting it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget

from spikescan.ops._core.triton import launch, segments
from spikescan.ops.dsn import triton as dsn
from spikescan.ops.lif import triton as lif
from spikescan.ops.linear_scan import triton as linear
from spikescan.ops.resonate import triton as resonate

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
ARITHMETIC = ("FADD", "FMUL", "FFMA", "DADD", "DMUL", "DFMA", "STG")


class Hopper:
    """The little of a driver that compiling asks for."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int | None = None) -> int:
        return 0


found: dict[str, dict[str, Any]] = {}
launches = 0


def compile_only(
    kernel: Any, grid: int, like: torch.Tensor, *arguments: Any, **constants: Any
) -> None:
    global launches
    launches += 1
    compiled = kernel.warmup(
        *arguments, **constants, LANES=launch.LANES, grid=(grid,), **launch.OPTIONS
    )
    if compiled.hash not in found:
        op = kernel.fn.__module__.split(".")[-2]
        name = f"{op} {kernel.fn.__name__} {like.dtype} {constants}"
        every = None not in [a for a in arguments if not isinstance(a, torch.Tensor)]
        found[compiled.hash] = {"name": name, "every": every, **facts(compiled.asm["cubin"])}


def facts(cubin: bytes) -> dict[str, Any]:
    """Registers, spills, contracted operations, and the most reads that nothing waits for."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage = tool("cuobjdump", "-res-usage", file.name)
        code = tool("nvdisasm", "-c", file.name)
    operations = re.findall(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+ )?([A-Z0-9]+)", code, re.M)
    reads = most = 0
    for operation in operations:
        if operation == "LDG":
            reads += 1
            most = max(most, reads)
        elif operation in ARITHMETIC:
            reads = 0
    (registers,) = re.findall(r"REG:(\d+)", usage)
    return {
        "registers": int(registers),
        "spills": sum(operation in ("LDL", "STL") for operation in operations),
        "contracted": sum(operation in ("FFMA", "DFMA") for operation in operations),
        "in_flight": most,
    }


def tool(name: str, *arguments: str) -> str:
    command = [str(TOOLS / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def run(forward: Any, arguments: tuple[Any, ...]) -> Any:
    """The kernel of an operator."""
    return forward._run(*arguments) if hasattr(forward, "_run") else forward._kernel(*arguments)


def shapes() -> Iterator[tuple[int, int, int]]:
    """Lengths and widths that a specialising compiler would tell apart: 1, multiples of 16."""
    yield from ((2, 70, 40), (2, 64, 64), (1, 1, 1), (1, 48, 16))


def compile_lif(dtype: torch.dtype, reset: int, detach: bool, surrogate: int, more: bool) -> None:
    wide = torch.promote_types(dtype, torch.float32)
    for shape in shapes():
        x = torch.zeros(shape, dtype=dtype)
        beta, state = torch.zeros(shape[2], dtype=wide), torch.zeros(shape[::2], dtype=wide)
        lengths = torch.zeros(shape[0], dtype=torch.int64) if more else None
        options = (1.0, 0.0, reset, detach, surrogate, 2.0)
        levels = torch.zeros(2, shape[2], dtype=wide) if more else None
        start = state if more else None
        s, u, v, saved = lif._forward(
            lif.contract.Forward(x, beta, None, levels, start, lengths, *options, more, True)
        )
        late = u if more else None
        lif._backward(
            lif.contract.Backward(
                *(x, beta, None, levels, saved, lengths, s, late, v, *options, True, more)
            )
        )


def compile_scan(dtype: torch.dtype, is_complex: bool, per_step: bool) -> None:
    wide = torch.promote_types(dtype, torch.float32)
    for rows, steps, lanes in ((2, 700, 40), (2, 640, 64)):
        b, h0 = torch.zeros(rows, steps, lanes, dtype=dtype), torch.zeros(rows, lanes, dtype=wide)
        a = b if per_step else b[0, 0]
        h, last = run(linear.forward, (a, b, h0, None, is_complex))
        run(linear.backward, (a, h, h0, None, h, last, is_complex, True))


def compile_resonate(dtype: torch.dtype, surrogate: int, more: bool) -> None:
    wide = torch.promote_types(dtype, torch.float32)
    x, p3 = torch.zeros(2, 700, 40, dtype=dtype), torch.zeros(3, 40, dtype=torch.float64)
    start = torch.zeros(2, 40, dtype=wide)
    options = (1.0, surrogate, 2.0)
    own = start[0] if more else None
    s, m, u, r, saved, rows = resonate._forward(
        resonate.contract.Forward(x, p3, own, start, start, None, *options, more, True)
    )
    late = m if more else None
    resonate._backward(
        resonate.contract.Backward(
            x, p3, own, rows, saved, None, s, late, u, r, *options, True, more
        )
    )


def compile_dsn(dtype: torch.dtype, taps: int, exponent: float, surrogate: int, more: bool) -> None:
    wide = torch.promote_types(dtype, torch.float32)
    x, state = torch.zeros(2, 700, 40, dtype=dtype), torch.zeros(2, 40, dtype=wide)
    alpha = None if taps else x
    weight = torch.zeros(40, taps, dtype=wide) if taps else None
    bias = torch.zeros(40, dtype=wide) if taps else None
    inputs = torch.zeros(2, taps - 1, 40, dtype=wide) if taps else None
    options = (exponent, 4, surrogate, 2.0)
    s, m, h, last, saved = run(
        dsn.forward, (x, alpha, weight, bias, state, inputs, None, *options, more, True)
    )
    run(
        dsn.backward,
        (
            x, alpha, weight, bias, inputs, saved, None, s, m if more else None, h,
            last if taps else None, *options, not taps, bool(taps),
        ),
    )  # fmt: skip


SINGLE, DOUBLE, HALF = torch.float32, torch.float64, torch.bfloat16
QUICK: list[Callable[[], None]] = [lambda: compile_lif(SINGLE, 1, True, 0, False)]
FULL: list[Callable[[], None]] = [
    *QUICK,
    lambda: compile_lif(SINGLE, 2, False, 1, True),
    lambda: compile_lif(HALF, 0, True, 4, False),
    lambda: compile_lif(DOUBLE, 1, False, 5, False),
    *[
        lambda c=c, p=p: compile_scan(SINGLE, c, p)
        for c, p in ((False, False), (False, True), (True, False), (True, True))
    ],
    lambda: compile_scan(HALF, False, True),
    lambda: compile_resonate(SINGLE, 0, False),
    lambda: compile_resonate(HALF, 3, True),
    lambda: compile_dsn(SINGLE, 0, 1.0, -1, False),
    lambda: compile_dsn(SINGLE, 4, 4.0, -1, False),
    lambda: compile_dsn(HALF, 4, 2.5, 2, True),
]


def main() -> None:
    triton.runtime.driver.set_active(Hopper())
    for module in (dsn, lif, linear, resonate, segments):
        module.launch = compile_only  # type: ignore[attr-defined]
    for compile_some in FULL if sys.argv[1] == "full" else QUICK:
        # Both forms: one segment, and several with the kernel that carries between them.
        for segments.MANY_LANES in (0, 1 << 15):
            compile_some()
    print(json.dumps({"launches": launches, "kernels": list(found.values())}))


if __name__ == "__main__":
    main()
