"""The machine and the versions that a result belongs to."""

from __future__ import annotations

import json
import os
import platform
import shlex
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
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit(package: Path = Path(__file__).parents[1]) -> str | None:
    """Commit of the source tree this package runs from, when it runs from its own.

    An installed package may lie in a repository of its user's, of which this would say nothing.
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top) / "src" / "spikescan" != package.resolve():
        return None
    return _git(package, "describe", "--always", "--dirty")


def _git(folder: Path, *arguments: str) -> str | None:
    # Variables such as GIT_DIR, set within a hook, name another repository.
    variables = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


TRAINING, TRAINED_BY = "spikescan train", "trained by"


def trained_by(file: Path) -> dict[str, str]:
    """The command that made a run, as an entry of its environment, from what it left there."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        command = told.get(TRAINED_BY, told["command"])
    except (OSError, ValueError, KeyError, AttributeError):
        return {}
    return {TRAINED_BY: command} if command.startswith(TRAINING) else {}


def environment() -> dict[str, str]:
    """Machine, versions and command line, by name."""
    facts = {
        "command": shlex.join(["spikescan", *sys.argv[1:]]),
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
