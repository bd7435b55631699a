"""The threshold alone: what is left of LIF when every step resets."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops.lif import cpu
from spikescan.ops.lif.api import RESETS
from spikescan.ops.surrogate import ATan, Surrogate, beyond_kernels, kernel_code


def spike(
    x: Tensor,
    threshold: float = 1.0,
    *,
    surrogate: Surrogate | None = None,
    lengths: Tensor | None = None,
    impl: Literal["auto", "reference", "cpu"] = "auto",
) -> Tensor:
    r"""Spikes of a neuron without memory, :math:`s_t = [x_t \ge V]`.

    The kernel is that of LIF with its state set to zero at each step: one pass forward, one back.

    Args:
        x: input (B, T, D); float32, float64, bfloat16 or float16. Any strides.
        threshold: firing threshold V.
        surrogate: derivative of the spike, by default ``ATan(2)``.
        lengths: number of valid steps of each row (B,); there are no spikes beyond it.
        impl: "cpu" is the compiled kernel, "reference" plain torch; "auto" as in
            :func:`spikescan.ops.lif`.

    Returns:
        (B, T, D), 0 or 1 in the dtype of ``x``.

    Raises:
        ValueError: a shape, a length or an option is out of range.
        TypeError: the dtype of ``x`` is not supported.

    >>> spike(torch.tensor([[[0.2], [0.5], [0.9]]]), 0.5).flatten()
    tensor([0., 1., 1.])
    """
    validate.sequence("x", x)
    valid = validate.valid_lengths(lengths, x)
    surrogate = surrogate or ATan()
    current = x.to(validate.accumulator(x.dtype))
    code = kernel_code(surrogate)
    beyond = None if code else beyond_kernels(surrogate)
    if validate.choose(impl, x, ("reference", "cpu"), beyond) == "reference" or not code:
        if valid is not None:
            inside = torch.arange(x.shape[1], device=x.device) < valid[:, None]
            current = torch.where(inside[..., None], current, -torch.inf)
        return surrogate(current - threshold).to(x.dtype)
    beta = current.new_zeros(()).expand(x.shape[2])
    spikes, *_ = cpu.lif_forward(
        current, beta, None, valid, threshold, 0.0, len(RESETS), True,
        *code, False, x.requires_grad and torch.is_grad_enabled(),
    )  # fmt: skip
    return spikes.to(x.dtype)
