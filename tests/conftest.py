"""What holds for all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

# Small tensors gain nothing from threads, and lose time waiting for them; the workers of xdist are
# parallelism enough. The tests of the compiled library choose their own number.
torch.set_num_threads(1)
# So do the programs that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if not torch.cuda.is_available():
    # Read when Triton is imported, which torch does later: then its kernels run on the CPU.
    os.environ["TRITON_INTERPRET"] = "1"


def _undrawn(patch: pytest.MonkeyPatch) -> list[Any]:
    records: list[Any] = []

    def write_report(record: Any, path: Path) -> None:
        records.append(record)
        path.write_text("a page")

    patch.setattr("spikescan.train.run.write_report", write_report)
    return records


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What reports are made of, in place of their pictures, which take longer to draw than the
    small run to train."""
    return _undrawn(monkeypatch)


@pytest.fixture(scope="module")
def no_pictures_here() -> Iterator[None]:
    """The same for all tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        _undrawn(patch)
        yield


def pytest_collection_finish() -> None:
    """Leave what is imported out of the search for garbage, a tenth of the time otherwise."""
    gc.freeze()
