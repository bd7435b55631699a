"""The public linear scan: validate, choose, run."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.registration import Operator
from spikescan.ops.linear_scan import cpu, reference
from spikescan.ops.linear_scan.contract import Forward

_DTYPES = (*validate.FLOATS, torch.complex64, torch.complex128)


class LinearScanState(NamedTuple):
    """State of :func:`linear_scan`."""

    h: Tensor
    """(B, D), after the last step; at least float32."""


class LinearScanOutput(NamedTuple):
    """Result of :func:`linear_scan`."""

    h: Tensor
    """(B, T, D), the state after every step, in the dtype of ``b`` joined with that of ``a``."""
    state: LinearScanState
    """After the last step."""


def linear_scan(
    a: Tensor,
    b: Tensor,
    state: LinearScanState | None = None,
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
        state: before the first step, None for zero; differentiable.
        lengths: number of valid steps of each row (B,), see :func:`spikescan.ops.lif`.
        impl: "cpu" is the compiled kernel, "triton" the GPU's, "reference" the loop over time in
            torch; "auto" as in :func:`spikescan.ops.lif`. On a GPU few channels run in segments of
            time, which differs from one by rounding.

    Returns:
        The states at all steps, and the last one in at least float32. Everything is complex when
        ``a`` or ``b`` is.

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
    h0 = None
    if state is not None:
        validate.kind("state", state, LinearScanState)
        h0 = validate.state("state.h", state.h, b, wide)
    run = validate.choose(impl, b, ("reference", "cpu", "triton"))
    if run == "reference":
        h0 = b.new_zeros(b.shape[0], b.shape[2], dtype=wide) if h0 is None else h0
        h, last = reference.linear_scan(a.to(wide), b.to(wide), h0, valid)
    else:
        # Triton's kernel widens real numbers as it reads them.
        if run == "cpu" or wide.is_complex:
            a, b = _lanes(a.to(wide)), _lanes(b.to(wide))
        h0 = None if h0 is None else _lanes(h0)
        h, last = _forward(run)(Forward(a=a, b=b, h0=h0, lengths=valid, is_complex=wide.is_complex))
        if wide.is_complex:
            h, last = (torch.view_as_complex(t.unflatten(-1, (-1, 2))) for t in (h, last))
    return LinearScanOutput(h.to(joined), LinearScanState(last))


def _lanes(x: Tensor) -> Tensor:
    """Complex channels as pairs of real lanes, (..., D) to (..., 2 D); real ones as they are."""
    return torch.view_as_real(x.resolve_conj()).flatten(-2) if x.is_complex() else x


def _forward(run: str) -> Operator:
    if run == "cpu":
        return cpu.forward
    from spikescan.ops.linear_scan import triton

    return triton.forward
