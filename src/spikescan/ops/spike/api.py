"""The public op of spikes without memory: validate, choose, run."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops.spike import cpu, reference
from spikescan.ops.spike.contract import Forward
from spikescan.ops.surrogate import DEFAULT, Surrogate, beyond_kernels, kernel_code


def spike(
    x: Tensor,
    threshold: Tensor | float = 1.0,
    *,
    surrogate: Surrogate | None = None,
    lengths: Tensor | None = None,
    impl: Literal["auto", "reference", "cpu"] = "auto",
) -> Tensor:
    r"""Spikes of a neuron without memory, :math:`s_t = [x_t \ge V]`.

    What is left of LIF when every step resets; one pass forward, one back.

    Args:
        x: input (B, T, D); float32, float64, bfloat16 or float16. Any strides.
        threshold: firing threshold V, a number or (D,); differentiable.
        surrogate: derivative of the spike, by default ``ATan(2)``.
        lengths: number of valid steps of each row (B,); there are no spikes beyond it.
        impl: "cpu" is the compiled kernel, "reference" plain torch; "auto" as in
            :func:`spikescan.ops.lif`.

    Returns:
        (B, T, D), 0 or 1 in the dtype of ``x``. NaN stays NaN: there is no state to tell of it.

    Raises:
        ValueError: a shape, a length or an option is out of range.
        TypeError: the dtype of ``x`` is not supported.

    >>> spike(torch.tensor([[[0.2], [0.5], [0.9]]]), 0.5).flatten()
    tensor([0., 1., 1.])
    """
    validate.sequence("x", x)
    dtype = validate.accumulator(x.dtype)
    level = validate.number_or_each("threshold", threshold, x, dtype)
    level = validate.per_channel("threshold", level, x, dtype)
    valid = validate.valid_lengths(lengths, x)
    surrogate = surrogate or DEFAULT
    code = kernel_code(surrogate)
    beyond = None if code else beyond_kernels(surrogate)
    if validate.choose(impl, x, ("reference", "cpu"), beyond) == "reference" or not code:
        spikes = reference.spike(x.to(dtype), level, valid, surrogate)
    else:
        spikes = cpu.forward(
            Forward(
                x=x.to(dtype),
                thresholds=level,
                lengths=valid,
                surrogate=code[0],
                surrogate_parameter=code[1],
            )
        )
    return spikes.to(x.dtype)


def step(x: Tensor, features: int, threshold: Tensor | float) -> Tensor | None:
    """One step x (B, 1, D) of so many features without gradient.

    None where that does not fit, or something must be refused: :func:`spike` does either.
    """
    parameters = (threshold,) if isinstance(threshold, Tensor) else ()
    if not validate.step(x, parameters, ()) or x.shape[2] != features:
        return None
    return fired(x, threshold)


def fired(x: Tensor, threshold: Tensor | float) -> Tensor:
    """Spikes without gradient, in plain torch: 0 or 1, or NaN where x is.

    Of a single step that is done before a kernel would have begun.
    """
    level = threshold.to(x.dtype) if isinstance(threshold, Tensor) else threshold
    return torch.where(x == x, (x >= level).to(x.dtype), x)
