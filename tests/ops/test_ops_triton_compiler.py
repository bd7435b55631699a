"""What Triton's compiler makes of the kernels for an H100 or H200; no GPU is needed for it.

The interpreter accepts more than the compiler does, and knows nothing of rounding or registers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton")


def compiled(which: str, folder: Path) -> tuple[int, list[dict[str, Any]]]:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(folder)
    script = Path(__file__).with_name("triton_compile.py")
    done = subprocess.run(
        [sys.executable, str(script), which],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    return result["launches"], result["kernels"]


def check_recurrence(kernel: dict[str, Any]) -> None:
    # A rounding that is left out changes spikes. float64 has its exponential from such operations.
    if not ("float64" in kernel["name"] or "'WHOLE': 0" in kernel["name"]):
        assert kernel["contracted"] == 0, kernel
    # Otherwise the loop over time waits for memory at each step.
    assert kernel["in_flight"] >= 8, kernel


def test_lif(tmp_path: Path) -> None:
    launches, kernels = compiled("quick", tmp_path)
    # No shape, length or stride compiles anew.
    assert (launches, len(kernels)) == (16, 2)
    for kernel in kernels:
        check_recurrence(kernel)
        assert kernel["spills"] == 0, kernel
        assert kernel["in_flight"] >= 16, kernel


@pytest.mark.slow
def test_every_kernel(tmp_path: Path) -> None:
    launches, kernels = compiled("full", tmp_path)
    names = [kernel["name"] for kernel in kernels]
    assert len(kernels) < launches
    for op in ("lif", "linear_scan", "resonate", "dsn"):
        for direction in ("forward", "backward"):
            assert any(name.startswith(f"{op} {direction}_kernel") for name in names)
    assert any(name.startswith("triton carry_kernel") for name in names)
    for kernel in kernels:
        check_recurrence(kernel)
        # Two registers a number, or every gradient that there is, may be many.
        if "float32" in kernel["name"] and not kernel["every"]:
            assert kernel["spills"] == 0, kernel
