"""Splits that keep the proportion of the classes."""

from __future__ import annotations

import torch
from torch import Tensor


def stratified_split(y: Tensor, held_out: float | int) -> tuple[Tensor, Tensor]:
    """Return row numbers of the larger and of the held-out part, both in random order.

    It is scikit-learn's ``train_test_split(stratify=y, random_state=0)``, so that others can make
    the same split. The seed is fixed: a split is part of a task, not of a run.

    Args:
        y: Classes (N,).
        held_out: Number of rows to hold out, or a fraction of them below 1.
    """
    # Imported here, for it takes longer to import than most data take to load.
    from sklearn.model_selection import train_test_split

    rest, held = train_test_split(
        range(len(y)), test_size=held_out, stratify=y.numpy(), random_state=0
    )
    return torch.tensor(rest), torch.tensor(held)
