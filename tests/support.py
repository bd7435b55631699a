"""What tests of several rooms share: drawn tensors, and the parts of a state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(
    *shape: int,
    seed: int = 1,
    dtype: torch.dtype = torch.float32,
    scale: float = 1.0,
    shift: float = 0.0,
) -> Tensor:
    """Normal numbers, in every dtype the same but for rounding."""
    numbers = torch.randn(shape, generator=seeded(seed), dtype=torch.float64)
    return (numbers * scale + shift).to(dtype)


def leaves(state: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]


def give_statistics(module: nn.Module) -> None:
    """Running statistics that do something, as after training."""
    for m in module.modules():
        if isinstance(m, nn.BatchNorm1d):
            assert m.running_mean is not None
            assert m.running_var is not None
            m.running_mean.uniform_(-0.2, 0.2)
            m.running_var.uniform_(0.5, 1.5)
