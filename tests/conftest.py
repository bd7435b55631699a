"""What all tests share."""

from __future__ import annotations

import os

import torch

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers are the parallelism: several threads in each would wait for one another.
    torch.set_num_threads(1)
