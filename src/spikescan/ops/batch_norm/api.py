"""The public batch normalisation: validate, choose, run."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops.batch_norm import cpu, reference
from spikescan.ops.batch_norm.contract import Forward


class BatchNormOutput(NamedTuple):
    """Result of :func:`batch_norm`."""

    out: Tensor
    """(B, T, D)."""
    mean: Tensor
    """(D,), the mean used; without gradient."""
    var: Tensor
    """(D,), the variance used (of all steps, not of a sample of them); without gradient."""


def batch_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor | None = None,
    var: Tensor | None = None,
    *,
    residual: Tensor | None = None,
    eps: float = 1e-5,
    lengths: Tensor | None = None,
    impl: Literal["auto", "reference", "cpu"] = "auto",
) -> BatchNormOutput:
    r"""Normalise each channel over batch and time, and add the result to a stream.

    .. math:: z_t = r_t + w \frac{x_t - \mu}{\sqrt{\sigma^2 + \epsilon}} + b

    The forward pass reads x once for the statistics and once for everything else; a sum of its own
    would read and write the result once more. Under ``torch.autocast`` on the CPU all of it is in
    the dtype of the weight.

    Args:
        x: sequences (B, T, D); differentiable.
        weight: scale w (D,); differentiable.
        bias: shift b (D,); differentiable.
        mean: mean μ (D,) to use, differentiable; None for that of x, through which the gradient
            then goes.
        var: variance σ² (D,) to use, differentiable; None for that of x, given or not as ``mean``.
        residual: stream r (B, T, D) to add to, None for none; differentiable.
        eps: ε, added to the variance.
        lengths: number of valid steps of each row (B,). Statistics are those of valid steps; beyond
            them the result is the residual alone, or zero.
        impl: "cpu" is the compiled kernel, for float32 and float64; "reference" is plain torch;
            "auto" is "cpu" where all tensors are of one such dtype and on the CPU, and the kernels
            are installed, else "reference".

    Returns:
        The sum, and the statistics used.

    Raises:
        ValueError: a shape or an option does not fit, or statistics of a single step are asked for.

    >>> import torch
    >>> one, zero = torch.ones(1), torch.zeros(1)
    >>> x = torch.tensor([[[1.0], [3.0]]])
    >>> batch_norm(x, one, zero, residual=torch.ones(1, 2, 1), eps=0.0).out.flatten()
    tensor([0., 2.])
    """
    _, _, channels = validate.sequence("x", x)
    for name, value in (("weight", weight), ("bias", bias), ("mean", mean), ("var", var)):
        if value is None:
            continue
        validate.tensor(name, value, x)
        if value.shape != (channels,):
            raise ValueError(f"{name} must have shape ({channels},), got {tuple(value.shape)}")
    if (mean is None) != (var is None):
        raise ValueError("mean and var must both be given, or neither")
    if residual is not None:
        validate.tensor("residual", residual, x)
        if residual.shape != x.shape:
            raise ValueError(
                f"residual must have the shape of x, {tuple(x.shape)}, got {tuple(residual.shape)}"
            )
    if mean is None and x.shape[0] * x.shape[1] < 2:
        raise ValueError(f"statistics need more than one step, got x of shape {tuple(x.shape)}")
    valid = validate.valid_lengths(lengths, x)
    if mean is None and valid is not None and validate.few(valid, 2):
        raise ValueError(f"statistics need more than one valid step, got lengths {lengths}")
    if validate.mixed_precision(x) is not None:
        x = x.to(weight.dtype)
        residual = None if residual is None else residual.to(weight.dtype)
    if validate.choose_uniform(impl, x, weight, bias, residual) == "cpu":
        out = cpu.forward(
            Forward(
                x=x, weight=weight, bias=bias, residual=residual, mean=mean, var=var,
                lengths=valid, eps=eps,
            )
        )  # fmt: skip
    else:
        out = reference.batch_norm(x, weight, bias, residual, mean, var, valid, eps)
    return BatchNormOutput(out[0], out[1].detach(), out[2].detach())
