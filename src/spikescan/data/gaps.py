"""Values that are missing: refused with their place, or filled in as told."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from spikescan.data.root import DataError

Missing = Literal["refuse", "hold", "zero"]
"""What happens to NaN and infinite values: "refuse" raises, "hold" repeats the value before (at the
start of a sequence the first one that is there), "zero" puts zero."""
OR_MISSING = ", or say missing='hold' or missing='zero'"
REFUSED = "; training refuses them: say missing: hold, or zero"
"""What a survey says of missing values unless it is told what happens to them."""


def without_missing(x: Tensor, missing: Missing, name: str) -> Tensor:
    """Return sequences without NaN and infinite values; those without any come back as they are.

    Args:
        x: One sequence (T, D) or many (N, T, D); whole numbers miss nothing.
        missing: What to do about such values.
        name: What to call ``x`` in the error.

    Raises:
        DataError: There are such values and they are refused, or a channel has no other ones to
            repeat.
        ValueError: ``missing`` is unknown.

    >>> x = torch.tensor([[float("nan")], [2.0], [float("nan")], [4.0]])
    >>> without_missing(x, "hold", "x").flatten()
    tensor([2., 2., 2., 4.])
    """
    if missing not in ("refuse", "hold", "zero"):
        raise ValueError(f"missing must be 'refuse', 'hold' or 'zero', got {missing!r}")
    if not x.is_floating_point() or bool((there := x.isfinite()).all()):
        return x
    absent = (~there).nonzero()
    if missing == "refuse":
        places = ("sequence", "step", "channel")[-x.ndim :]
        first = ", ".join(f"{p} {i}" for p, i in zip(places, absent[0].tolist(), strict=True))
        raise DataError(
            f"{name} is NaN or infinite {len(absent):,} times, the first at {first}; mend them",
            OR_MISSING,
        )
    if missing == "zero":
        return torch.where(there, x, 0)
    empty = ~there.any(-2)
    if bool(empty.any()):
        *where, channel = empty.nonzero()[0].tolist()
        at = f"sequence {where[0]}, channel {channel}" if where else f"channel {channel}"
        raise DataError(f"{name} has no value to repeat in {at}: all are NaN or infinite")
    steps = torch.arange(x.shape[-2]).unsqueeze(-1)
    # The last step that has a value, up to now; before the first one, the first.
    last = torch.where(there, steps, -1).cummax(-2).values
    first = there.int().argmax(-2, keepdim=True)
    return x.gather(-2, torch.where(last < 0, first, last))
