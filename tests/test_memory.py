"""Freed memory stays with the process, once it is asked to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from spikescan import memory
from spikescan.cli import main

FAULTS = """
import resource, torch
from spikescan import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 << 20)  # 64 MiB, which malloc alone gives back each time
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

without = faults()
kept = keep_memory()
faults(), faults()  # until it finds room
print(kept, without, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted on Linux")
def test_a_large_tensor_costs_page_faults_once() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, check=True)
    kept, before, after = done.stdout.decode().split()
    if kept == "False":
        pytest.skip("another C library than glibc")
    assert int(after) < 0.1 * int(before)


def test_training_keeps_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(memory, "keep_memory", lambda: asked.append(True))
    assert main(["train", "no_such_recipe"]) == 2
    assert asked == [True]
