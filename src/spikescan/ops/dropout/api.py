"""The public dropout: validate, choose, run."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops.dropout import cpu, reference
from spikescan.ops.dropout.contract import Forward

_STEPS = 1 << 24
"""Values that a random number has."""


def dropout(
    x: Tensor,
    key: Tensor,
    p: float = 0.5,
    *,
    scaled: bool = True,
    impl: Literal["auto", "reference", "cpu"] = "auto",
) -> Tensor:
    r"""Zero each number with probability p.

    .. math:: y_i = f \, [U_i \ge p] \, x_i, \qquad f = \frac{1}{1 - p}

    U is uniform in [0, 1), a hash of the key and of i: no state goes from number to number, so that
    threads share the work, and the backward pass draws again instead of keeping a mask. The
    generator of ``torch.nn.functional.dropout`` hands out one number after the other on a CPU; the
    case ``dropout`` of the benchmark times both.

    Args:
        x: of any shape, float32, float64, bfloat16 or float16; differentiable.
        key: (1,) int64, the same for the same y.
        p: the probability, from 0 to 1; rounded to multiples of 2^-24.
        scaled: multiply what stays by f; otherwise f is 1, and spikes stay 0 or 1.
        impl: "cpu" is the compiled kernel, "reference" plain torch, of the same numbers; "auto" as
            in :func:`spikescan.ops.lif`.

    Returns:
        In the shape and the dtype of x. A NaN stays NaN.

    Raises:
        ValueError: p is out of range, or the key has another shape or dtype.
        TypeError: the dtype of x is not supported.

    Source: Srivastava et al. 2014, section 10, for f.

    >>> dropout(torch.ones(2, 4), torch.tensor([3]))
    tensor([[0., 0., 2., 0.],
            [2., 0., 0., 0.]])
    """
    validate.tensor("x", x)
    if not x.is_floating_point():
        raise TypeError(f"x must be float32, float64, bfloat16 or float16, got {x.dtype}")
    dtype = validate.accumulator(x.dtype)
    if not 0 <= p <= 1:
        raise ValueError(f"p must be within 0 .. 1, got {p}")
    validate.tensor("key", key, x)
    if key.shape != (1,) or key.dtype != torch.int64:
        raise ValueError(f"key must be int64 of shape (1,), got {key.dtype} of {tuple(key.shape)}")
    if p == 0:
        return x
    least = math.ceil(p * _STEPS) - _STEPS // 2
    factor = 1 / (1 - p) if scaled and p < 1 else 1.0
    given = Forward(x=x.to(dtype), key=key, least=least, factor=factor)
    reference_runs = validate.choose_uniform(impl, given.x) == "reference"
    y = reference.dropout(*given) if reference_runs else cpu.forward(given)
    return y.to(x.dtype)
