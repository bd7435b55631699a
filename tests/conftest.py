"""What holds for all tests."""

from __future__ import annotations

import torch

# Small tensors gain nothing from threads, and lose time waiting for them; the workers of xdist are
# parallelism enough. The tests of the compiled library choose their own number.
torch.set_num_threads(1)
