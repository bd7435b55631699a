"""Thousands of odd calls: none ends the process, none is quietly wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import check

HERE = Path(__file__).parent


@pytest.mark.filterwarnings("ignore")
def test_a_few_hundred_calls() -> None:
    for number in range(300):
        check(number)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 10_000, 500))
def test_ten_thousand_calls(first: int) -> None:
    """In processes of their own, whose end by a signal names the call."""
    path = os.pathsep.join((str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, str(HERE / "fuzz.py"), str(first), "500"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.split()[-1:] or ["none"]
    assert done.returncode == 0, f"call {last[0]} ended with {done.returncode}:\n{done.stderr}"
