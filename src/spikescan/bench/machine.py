"""The machine and the versions that a measurement belongs to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from spikescan.ops._core.cpu import level

SJ_CHOICE = "SJ_LIF_CUDA_IMPLEMENTATION"
"""What chooses between SpikingJelly's kernels on a GPU: auto, cuda or triton."""


def is_here(device: str) -> bool:
    """Whether this machine has the device."""
    return device == "cpu" or torch.cuda.is_available()


def machine() -> dict[str, str]:
    """Facts by name."""
    facts = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "CPU kernels": level() or "none (pure torch)",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }
    if is_here("cuda"):
        facts["gpu"] = torch.cuda.get_device_name()
        facts["SpikingJelly's GPU kernels"] = os.environ.get(SJ_CHOICE, "auto")
    for package in ("spikescan", "torch", "triton", "spikingjelly", "snntorch"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
