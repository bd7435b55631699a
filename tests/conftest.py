"""What holds for all tests."""

from __future__ import annotations

import os

import torch

# Small tensors gain nothing from threads, and lose time waiting for them; the workers of xdist are
# parallelism enough. The tests of the compiled library choose their own number.
torch.set_num_threads(1)

if not torch.cuda.is_available():
    # Read when Triton is imported, which torch does later: then its kernels run on the CPU.
    os.environ["TRITON_INTERPRET"] = "1"
