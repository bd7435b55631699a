"""The public linear scan: validate, choose, run."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.bypass import Operator
from spikescan.ops.linear_scan import cpu, reference

_DTYPES = (*validate.FLOATS, torch.complex64, torch.complex128)


class LinearScanOutput(NamedTuple):
    """Result of :func:`linear_scan`."""

    h: Tensor
    """(B, T, D), the state after every step, in the dtype of ``b`` joined with that of ``a``."""
    last: Tensor
    """(B, D), the state after the last step, in at least float32."""


def linear_scan(
    a: Tensor,
    b: Tensor,
    h0: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    impl: Literal["auto", "reference", "cpu", "triton"] = "auto",
) -> LinearScanOutput:
    r"""Run the linear recurrence over whole sequences.

    .. math:: h_t = a_t h_{t-1} + b_t

    Args:
        a: multiplier, (D,) constant in time or (B, T, D) given per step; real or complex;
            differentiable.
        b: input (B, T, D), real or complex; differentiable. Any strides.
        h0: state before the first step (B, D), None for zero; differentiable.
        lengths: number of valid steps of each row (B,), see :func:`spikescan.ops.lif`.
        impl: "cpu" is the compiled kernel, "triton" the GPU's, "reference" the loop over time in
            torch; "auto" as in :func:`spikescan.ops.lif`. On a GPU few channels run in segments of
            time, which differs from one by rounding.

    Returns:
        The states at all steps and the last one. Everything is complex when ``a`` or ``b`` is.

    Raises:
        ValueError: a shape or a length is out of range.
        TypeError: a dtype is not supported.

    >>> linear_scan(torch.tensor([0.5]), torch.ones(1, 3, 1)).h.flatten()
    tensor([1.0000, 1.5000, 1.7500])
    """
    validate.sequence("b", b, _DTYPES)
    validate.tensor("a", a, b)
    if a.dtype not in _DTYPES:
        raise TypeError(f"a must be a floating or complex tensor, got {a.dtype}")
    if a.shape not in (b.shape, b.shape[2:]):
        raise ValueError(
            f"a must have shape ({b.shape[2]},) or that of b, {tuple(b.shape)}, "
            f"got {tuple(a.shape)}"
        )
    joined = torch.promote_types(a.dtype, b.dtype)
    wide = joined if joined.is_complex else validate.accumulator(joined)
    valid = validate.valid_lengths(lengths, b)
    state = validate.state("h0", h0, b, wide)
    run = validate.choose(impl, b, ("reference", "cpu", "triton"))
    if run == "reference":
        state = b.new_zeros(b.shape[0], b.shape[2], dtype=wide) if state is None else state
        h, last = reference.linear_scan(a.to(wide), b.to(wide), state, valid)
    else:
        # Triton's kernel widens real numbers as it reads them.
        keep = run == "triton" and not wide.is_complex
        tensors = (t if t is None or keep else _lanes(t.to(wide)) for t in (a, b, state))
        h, last = _forward(run)(*tensors, valid, wide.is_complex)
        if wide.is_complex:
            h, last = (torch.view_as_complex(t.unflatten(-1, (-1, 2))) for t in (h, last))
    return LinearScanOutput(h.to(joined), last)


def _lanes(x: Tensor) -> Tensor:
    """Complex channels as pairs of real lanes, (..., D) to (..., 2 D); real ones as they are."""
    return torch.view_as_real(x.resolve_conj()).flatten(-2) if x.is_complex() else x


def _forward(run: str) -> Operator:
    if run == "cpu":
        return cpu.linear_forward
    from spikescan.ops.linear_scan import triton

    return triton.linear_forward
