"""A fresh process that measures its own peak memory in one pass: see ``cases/memory.py``."""

from __future__ import annotations

import gc
import json
import sys
from contextlib import suppress
from pathlib import Path

import torch

from spikescan.bench.case import Make, Shape
from spikescan.bench.inputs import inputs

_STATUS = Path("/proc/self/status")


def extra(make: Make, shape: Shape) -> float:
    """Peak of a pass beyond input, gradient, output and gradient of the input, over the input."""
    # A small pass first loads the code, starts the threads and fills torch's caches.
    make(Shape(128, 4, shape.features))()
    run = make(shape)
    gc.collect()
    before = _kilobytes("VmRSS")
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # forget the peak up to now
    outputs = run()
    peak = _kilobytes("VmHWM")
    size = inputs(shape)[0].nbytes
    kept = sum(t.nbytes for t in outputs)
    return ((peak - before) * 1024 - kept) / size


def _kilobytes(field: str) -> int:
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise OSError(f"{_STATUS} has no {field}")


def main(arguments: list[str]) -> int:
    from spikescan.bench.cases.memory import PASSES

    name, *sizes = arguments
    steps, batch, features, threads = map(int, sizes)
    torch.set_num_threads(threads)
    if not _STATUS.is_file():
        print(f"needs {_STATUS}, which Linux has", file=sys.stderr)
        return 1
    print(json.dumps({"extra": extra(PASSES[name], Shape(steps, batch, features))}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
