"""The public scaled Bernoulli spikes: validate, choose, run."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops.bernoulli.api import require_streams
from spikescan.ops.bernoulli_affine import cpu, reference
from spikescan.ops.bernoulli_affine.contract import Forward


def bernoulli_affine(
    x: Tensor,
    gain: Tensor,
    bias: Tensor,
    key: Tensor,
    start: Tensor,
    *,
    lengths: Tensor | None = None,
    impl: Literal["auto", "reference", "cpu"] = "auto",
) -> Tensor:
    r"""Spikes of a probability that is a scaled and shifted input.

    .. math::
        v = a \odot x + b, \qquad s = [U < \operatorname{clamp}(v, 0, 1)], \qquad
        \partial s / \partial v := [0 \le v \le 1]

    The spikes of ``bernoulli(gain * x + bias, key, start)``, whose v is never written: the backward
    pass reads x and the gradient once for all three gradients. Under ``torch.autocast`` on the CPU
    all of it is in the dtype of the gain.

    Args:
        x: sequences (B, T, D), float32, float64, bfloat16 or float16; differentiable.
        gain: scale a (D,); differentiable.
        bias: shift b (D,); differentiable.
        key: (B,) int64, key of each row.
        start: (B,) int64, number of the first step of each row.
        lengths: number of valid steps of each row (B,); beyond them there is no spike.
        impl: "cpu" is the compiled kernel, for float32 and float64; "reference" is plain torch, of
            the same spikes; "auto" is "cpu" where x, gain and bias are of one such dtype and on the
            CPU, and the kernels are installed, else "reference".

    Returns:
        (B, T, D) in the dtype that torch promotes x, gain and bias to. NaN stays NaN.

    Raises:
        ValueError: a shape or an option does not fit.
        TypeError: a dtype is not supported.

    Source: Bal and Sengupta 2025 (arXiv 2406.02923), SpikeSampler with its trained scale and shift.

    >>> import torch
    >>> one, half = torch.ones(1), torch.tensor([0.5])
    >>> row = {"key": torch.tensor([7]), "start": torch.tensor([0])}
    >>> bernoulli_affine(torch.tensor([[[-0.5], [0.5]]]), one, half, **row).flatten()
    tensor([0., 1.])
    """
    _, _, channels = validate.sequence("x", x)
    for name, value in (("gain", gain), ("bias", bias)):
        validate.tensor(name, value, x)
        if not value.is_floating_point():
            raise TypeError(f"{name} must be floating-point, got {value.dtype}")
        if value.shape != (channels,):
            raise ValueError(f"{name} must have shape ({channels},), got {tuple(value.shape)}")
    require_streams(key, start, x)
    valid = validate.valid_lengths(lengths, x)
    if validate.mixed_precision(x) is not None:
        x = x.to(gain.dtype)
    given = Forward(x, gain, bias, key, start, valid)
    if validate.choose_uniform(impl, x, gain, bias) == "cpu":
        return cpu.forward(given)
    return reference.bernoulli_affine(*given)
