"""Bernoulli spikes on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
from spikescan.ops.bernoulli.contract import Forward


class _Arguments(native.KernelArguments):
    """The C struct ``bernoulli_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("v", "key", "start"),
        *native.strides("v"),
        *native.pointers("s"),
        *native.integers("B", "T", "D", "threads"),
    ]
    dtypes = {"key": torch.int64, "start": torch.int64}  # noqa: RUF012


def _forward(given: Forward) -> Tensor:
    s = native.fresh(given.v.shape, given.v)
    native.run(
        "bernoulli", _Arguments, given.v.dtype, **given._asdict(), s=s, **native.sizes(given.v)
    )
    return s


forward = Operator(
    "bernoulli_forward",
    Forward,
    results=1,
    kernel=_forward,
    fake=lambda given: native.fake(given.v.shape, given.v),
)
