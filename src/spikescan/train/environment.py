"""The machine and the versions that a result belongs to."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from spikescan.ops._core.cpu import level


def processor() -> str:
    """Model name of the processor, as the operating system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """Commit of the source tree this package runs from, when it runs from one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def environment() -> dict[str, str]:
    """Machine, versions and command line, by name."""
    facts = {
        "command": " ".join(["spikescan", *sys.argv[1:]]),
        "processor": processor(),
        "threads": str(torch.get_num_threads()),
        "CPU kernels": level() or "none (pure torch)",
        "devices": _accelerators(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    for package in ("spikescan", "torch", "lightning", "numpy"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    found = commit()
    return {**facts, "commit": found} if found else facts


def _accelerators() -> str:
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join(["cpu", *names])
