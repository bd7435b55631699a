"""What all tests share."""

from __future__ import annotations

import os

import torch

if not torch.cuda.is_available():
    # Read when Triton is imported, which torch does later: then its kernels run on the CPU.
    os.environ["TRITON_INTERPRET"] = "1"

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers are the parallelism: several threads in each would wait for one another.
    torch.set_num_threads(1)
