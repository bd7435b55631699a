"""The public product of spikes: validate, choose, run."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops.spike_linear import cpu
from spikescan.ops.spike_linear.contract import Forward


def spike_linear(
    s: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    impl: Literal["auto", "reference", "cpu"] = "auto",
) -> Tensor:
    r"""Multiply spikes with a matrix by adding up its columns, one for each spike.

    .. math:: y_m = b_m + \sum_{k:\, s_k \ne 0} s_k W_{mk}

    Spikes of zero and one pick, four at a time, one of the 16 sums of four columns, which are made
    beforehand; the gradient of the weight is made from rows of the output's gradient in the same
    way. That is a quarter of the additions of the dense product whatever the firing rate, and only
    additions. Of such spikes one bit each is kept for the backward pass. A row with any other
    number in it is multiplied and added up, nonzero by nonzero. The gradient of the spikes is a
    dense product, since a surrogate may ask for all of it.

    Each row's sum has an order of its own, whatever the number of rows: a step, a chunk and the
    whole have the same bits, which a dense product does not promise. An infinite or NaN weight
    counts only where there is a spike.

    Under ``torch.autocast`` on the CPU the result has the same bits as without: additions gain
    nothing from bfloat16. Only the gradient of the spikes is then a product of bfloat16 numbers
    with float32 sums, where the CPU has instructions for it.

    Args:
        s: spikes (..., K): 0, 1 or any number; differentiable.
        weight: (M, K); differentiable.
        bias: (M,); differentiable.
        impl: "cpu" is the compiled kernel, for float32 and float64; "reference" is
            ``torch.nn.functional.linear``; "auto" is "cpu" for such tensors on the CPU where
            the kernels are installed, else "reference".

    Returns:
        (..., M).

    Raises:
        ValueError: a shape does not fit, or the kernel is asked for where it cannot run.

    >>> import torch
    >>> spike_linear(torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[1.0, 2.0, 4.0]]))
    tensor([[5.]])
    """
    validate.tensor("s", s)
    validate.tensor("weight", weight, s)
    if weight.ndim != 2 or s.ndim < 1 or s.shape[-1] != weight.shape[1]:
        raise ValueError(
            "s must have shape (..., K) and weight (M, K), "
            f"got {tuple(s.shape)} and {tuple(weight.shape)}"
        )
    if 0 in weight.shape:
        raise ValueError(f"weight must have a row and a column, got shape {tuple(weight.shape)}")
    if bias is not None:
        validate.tensor("bias", bias, s)
        if bias.shape != weight.shape[:1]:
            raise ValueError(f"bias must have shape ({weight.shape[0]},), got {tuple(bias.shape)}")
    mixed = validate.mixed_precision(s)
    if mixed is not None:
        s = s.to(weight.dtype)
    if validate.choose_uniform(impl, s, weight, bias) == "reference":
        with torch.autocast("cpu", enabled=False) if mixed else nullcontext():
            return F.linear(s, weight, bias)
    if "torch.utils.flop_counter" in sys.modules and not torch.compiler.is_compiling():
        from spikescan.ops import flops as flops  # counts products
    # Autocast leaves float64 alone, and so does this.
    narrow = mixed == torch.bfloat16 and weight.dtype == torch.float32
    half = narrow and validate.FAST_BFLOAT16
    y, _, _ = cpu.forward(
        Forward(s=s.reshape(-1, s.shape[-1]), weight=weight, bias=bias, half=half)
    )
    return y.reshape(*s.shape[:-1], weight.shape[0])
