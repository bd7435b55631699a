"""Bernoulli spikes on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.cpu import call as native


class _Arguments(native.KernelArguments):
    """The C struct ``bernoulli_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("v", "key", "start"),
        *native.strides("v"),
        *native.pointers("s"),
        *native.integers("B", "T", "D", "threads"),
    ]
    dtypes = {"key": torch.int64, "start": torch.int64}  # noqa: RUF012


@operator("bernoulli_forward")
def bernoulli_forward(v: Tensor, key: Tensor, start: Tensor) -> Tensor:
    """[U < v] (B, T, D); the gradient, the same for all kernels, is in api.py."""
    s = native.fresh(v.shape, v)
    native.run("bernoulli", _Arguments, v.dtype, v=v, key=key, start=start, s=s, **native.sizes(v))
    return s


@bernoulli_forward.register_fake
def _(v: Tensor, key: Tensor, start: Tensor) -> Tensor:
    return native.fake(v.shape, v)
