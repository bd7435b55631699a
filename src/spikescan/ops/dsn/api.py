"""The public dynamic decay ops: validate, choose, run."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.registration import Operator
from spikescan.ops.dsn import cpu, reference
from spikescan.ops.dsn.contract import Forward, Step, codes
from spikescan.ops.surrogate import Surrogate, beyond_kernels

MAX_LEVELS = 256
"""Most spikes of one step: up to here whole numbers are exact in bfloat16."""
MAX_TAPS = 16
"""Longest convolution; the C source's MAX_TAPS."""


class DSNState(NamedTuple):
    """State of :func:`dsn`, :func:`dsn_conv` and :class:`spikescan.DSN`."""

    h: Tensor
    """(B, D), membrane after the last step; at least float32."""
    inputs: Tensor
    """(B, k - 1, D), the last inputs, the latest at the end; at least float32. Empty, as k = 1,
    where the decay is given."""


class DSNOutput(NamedTuple):
    """Result of :func:`dsn` and :func:`dsn_conv`."""

    spikes: Tensor
    """(B, T, D), dtype of the input, whole numbers 0 to N."""
    state: DSNState
    """After the last step."""
    membrane: Tensor | None
    """(B, T, D), the membrane at every step, when asked for."""


def dsn(
    x: Tensor,
    alpha: Tensor,
    state: DSNState | None = None,
    *,
    levels: int = 4,
    surrogate: Surrogate | None = None,
    return_membrane: bool = False,
    lengths: Tensor | None = None,
    impl: Literal["auto", "reference", "cpu", "triton"] = "auto",
) -> DSNOutput:
    r"""Run leaky integrators with a given decay at every step, fired as whole numbers.

    .. math::
        h_t = \alpha_t h_{t-1} + (1 - \alpha_t) x_t, \qquad
        s_t = \operatorname{clip}(\operatorname{round} h_t, 0, N)
            = \sum_{n=1}^{N} [h_t \ge n - \tfrac12]

    A membrane halfway between two whole numbers fires the larger one. So with N = 1 the neuron is
    binary with threshold 1/2.

    Args:
        x: input current (B, T, D); float32, float64, bfloat16 or float16. Any strides.
        alpha: decay at each step (B, T, D), in [0, 1] (not checked: beyond it the membrane is not
            bounded); differentiable. Any strides.
        state: before the first step, None for rest (0); differentiable. Its ``inputs`` are empty
            (B, 0, D), as the decay needs none.
        levels: most spikes N of one step, 1 to 256.
        surrogate: derivative of the spikes. None is 1 for 0 <= h <= N and 0 elsewhere. An object
            stands around every threshold, so that the derivative is the sum of
            ``surrogate.derivative(h - (n - 1/2))`` over n = 1..N; ``Rectangular(1)`` is None again
            but for the whole numbers between, where two rectangles touch.
        return_membrane: also return the membrane at each step, which carries gradient.
        lengths: number of valid steps of each row (B,), see :func:`spikescan.ops.lif`.
        impl: "cpu" is the compiled kernel, "triton" the GPU's, "reference" the loop over time in
            torch; "auto" as in :func:`spikescan.ops.lif`. On a GPU few channels run in segments of
            time, which differs from one by rounding.

    Returns:
        Spikes in the input's dtype, the final state and the membrane in at least float32.

    Raises:
        ValueError: a shape, a length or an option is out of range.
        TypeError: the dtype of ``x`` or ``alpha`` is not supported.

    Source: Huang et al. 2026 (arXiv 2602.01133). They round; which way a tie goes is
    open there, and chosen here so that binary and integer mode share their thresholds.

    >>> x = torch.tensor([0.5, 1.4, 9.0, -1.0]).view(1, 4, 1)
    >>> dsn(x, torch.zeros(1, 4, 1)).spikes.flatten()
    tensor([1., 1., 4., 0.])
    """
    validate.sequence("x", x)
    validate.sequence("alpha", alpha)
    validate.tensor("alpha", alpha, x)
    if alpha.shape != x.shape:
        raise ValueError(
            f"alpha must have the shape of x, {tuple(x.shape)}, got {tuple(alpha.shape)}"
        )
    _check_levels(levels)
    dtype = validate.accumulator(torch.promote_types(x.dtype, alpha.dtype))
    h0, _ = _start(state, x, 1, dtype)
    valid = validate.valid_lengths(lengths, x)
    code = codes(surrogate)
    beyond = beyond_kernels(surrogate) if surrogate is not None and code is None else None
    run = validate.choose(impl, x, ("reference", "cpu", "triton"), beyond)
    # Triton's kernel widens each number as it reads it.
    current, decay = (x, alpha) if run == "triton" else (x.to(dtype), alpha.to(dtype))
    if code and run in ("cpu", "triton"):
        spikes, membrane, h, last, _ = _forward(run)(
            Forward(
                x=current, alpha=decay, weight=None, bias=None, h0=h0, inputs0=None, lengths=valid,
                exponent=1.0, levels=levels, surrogate=code[0], surrogate_parameter=code[1],
                want_membrane=return_membrane,
            )
        )  # fmt: skip
    else:
        h0 = current.new_zeros(x.shape[0], x.shape[2]) if h0 is None else h0
        spikes, membrane, h = reference.dsn(current, decay, h0, valid, levels, surrogate)
        last = h.new_empty(x.shape[0], 0, x.shape[2])
    return DSNOutput(spikes.to(x.dtype), DSNState(h, last), membrane if return_membrane else None)


def dsn_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | float = 0.0,
    state: DSNState | None = None,
    *,
    exponent: float = 4.0,
    levels: int = 4,
    surrogate: Surrogate | None = None,
    return_membrane: bool = False,
    lengths: Tensor | None = None,
    impl: Literal["auto", "reference", "cpu", "triton"] = "auto",
) -> DSNOutput:
    r"""Run dynamic decay spiking neurons: :func:`dsn` with the decay computed from the input.

    .. math::
        c_t = b + \sum_{i=0}^{k-1} w_i x_{t-k+1+i}, \qquad \alpha_t = \sigma(c_t)^p, \qquad
        h_t = \alpha_t h_{t-1} + (1 - \alpha_t) x_t, \qquad
        s_t = \sum_{n=1}^{N} [h_t \ge n - \tfrac12]

    One pass reads the input and writes the spikes; the decay never goes to memory. The kernel has
    its own exponential and logarithm, so its decays differ from torch's in the last bits, and a
    spike may differ from the reference's where the membrane is within
    :math:`(8 + p/4) \varepsilon \max|x| / (1 - \max\alpha)` of a threshold. The part with p is what
    torch's own power loses; the kernel's membranes are within 2 of these units of exact ones up to
    p = 300. Whole powers up to 8 are multiplied out, others are
    :math:`\exp(-p \log(1 + e^{-c}))`, at about half the speed.

    Args:
        x: input current (B, T, D); float32, float64, bfloat16 or float16. Any strides.
        weight: causal convolution of each channel (D, k), k from 1 to 16, that of the latest input
            last; differentiable.
        bias: of the convolution, a number or (D,); differentiable.
        state: membrane and k - 1 inputs before the first step, None for zeros; differentiable.
        exponent: power p of the sigmoid, positive; :math:`1/\tau_d` in the paper.
        levels: most spikes N of one step, 1 to 256.
        surrogate: derivative of the spikes, see :func:`dsn`.
        return_membrane: also return the membrane at each step, which carries gradient.
        lengths: number of valid steps of each row (B,), see :func:`spikescan.ops.lif`. The inputs
            that are handed on are then the last valid ones.
        impl: "cpu" is the compiled kernel, "triton" the GPU's, "reference" the loop over time in
            torch; "auto" as in :func:`spikescan.ops.lif`. On a GPU few channels run in segments of
            time, which differs from one by rounding, with the decays from plain torch.

    Returns:
        Spikes in the input's dtype; state and membrane in at least float32.

    Raises:
        ValueError: a shape, a length or an option is out of range.
        TypeError: the dtype of ``x`` is not supported.

    Source: Huang et al. 2026 (arXiv 2602.01133), with their depth-wise convolution.

    >>> out = dsn_conv(torch.ones(1, 5, 1), weight=torch.zeros(1, 4), bias=1.67)
    >>> out.spikes.flatten(), out.state.inputs.shape
    (tensor([0., 1., 1., 1., 1.]), torch.Size([1, 3, 1]))
    """
    batch, _, channels = validate.sequence("x", x)
    validate.tensor("weight", weight, x)
    if weight.ndim != 2 or weight.shape[0] != channels or not 1 <= weight.shape[1] <= MAX_TAPS:
        raise ValueError(
            f"weight must have shape ({channels}, k) with k from 1 to {MAX_TAPS}, "
            f"got {tuple(weight.shape)}"
        )
    if not (exponent > 0 and math.isfinite(exponent)):
        raise ValueError(f"exponent must be positive and finite, got {exponent}")
    _check_levels(levels)
    dtype = validate.accumulator(x.dtype)
    h0, inputs = _start(state, x, weight.shape[1], dtype)
    valid = validate.valid_lengths(lengths, x)
    offset = validate.per_channel("bias", bias, x, dtype)
    taps = weight.to(dtype)
    code = codes(surrogate)
    beyond = beyond_kernels(surrogate) if surrogate is not None and code is None else None
    run = validate.choose(impl, x, ("reference", "cpu", "triton"), beyond)
    # Triton's kernel widens each number as it reads it.
    current = x if run == "triton" else x.to(dtype)
    carried = (batch, weight.shape[1] - 1, channels)
    if run == "triton" and _in_segments(x):
        history = x.new_zeros(carried, dtype=dtype) if inputs is None else inputs
        alpha, last = reference.decays(x.to(dtype), taps, offset, history, valid, exponent)
        start = None if h0 is None else DSNState(h0, h0.new_empty(batch, 0, channels))
        out = dsn(
            x, alpha, start, levels=levels, surrogate=surrogate, impl=run, lengths=valid,
            return_membrane=return_membrane,
        )  # fmt: skip
        return out._replace(state=DSNState(out.state.h, last))
    if code and run in ("cpu", "triton"):
        spikes, membrane, h, last, _ = _forward(run)(
            Forward(
                x=current, alpha=None, weight=taps, bias=offset, h0=h0, inputs0=inputs,
                lengths=valid, exponent=exponent, levels=levels, surrogate=code[0],
                surrogate_parameter=code[1], want_membrane=return_membrane,
            )
        )  # fmt: skip
    else:
        h0 = current.new_zeros(batch, channels) if h0 is None else h0
        inputs = current.new_zeros(carried) if inputs is None else inputs
        spikes, membrane, h, last = reference.dsn_conv(
            current, taps, offset, h0, inputs, valid, exponent, levels, surrogate
        )
    return DSNOutput(spikes.to(x.dtype), DSNState(h, last), membrane if return_membrane else None)


def step(
    x: Tensor, weight: Tensor, bias: Tensor, state: object, exponent: float, levels: int
) -> tuple[Tensor, DSNState] | None:
    """One step x (B, 1, D) without gradient, straight on the CPU's kernel.

    None where that does not fit, or something must be refused: :func:`dsn_conv` does either.
    """
    if not (state is None or isinstance(state, DSNState)):
        return None
    h0, inputs = (None, None) if state is None else state
    taps = weight.shape[1]
    fits = taps <= MAX_TAPS and 1 <= levels <= MAX_LEVELS and 0 < exponent < math.inf
    if not (fits and validate.step(x, (bias,), (h0,), (inputs, taps - 1), (weight,))):
        return None
    if weight.shape[0] != x.shape[2] or not weight.is_cpu:
        return None
    spikes, h, last = cpu.step.plain(
        Step(
            x=x, weight=weight, bias=bias, h0=h0, inputs0=inputs, exponent=exponent, levels=levels
        )
    )  # fmt: skip
    return spikes, DSNState(h, last)


def _start(
    state: DSNState | None, x: Tensor, taps: int, dtype: torch.dtype
) -> tuple[Tensor | None, Tensor | None]:
    """Membrane and carried inputs of a state, in the scan's dtype."""
    if state is None:
        return None, None
    validate.kind("state", state, DSNState)
    validate.tensor("state.inputs", state.inputs, x)
    carried = (x.shape[0], taps - 1, x.shape[2])
    if state.inputs.shape != carried:
        raise ValueError(f"state.inputs must have shape {carried}, got {tuple(state.inputs.shape)}")
    return validate.state("state.h", state.h, x, dtype), state.inputs.to(dtype)


def _check_levels(levels: int) -> None:
    if not 1 <= levels <= MAX_LEVELS:
        raise ValueError(f"levels must lie in 1..{MAX_LEVELS}, got {levels}")


def _forward(run: str) -> Operator:
    if run == "cpu":
        return cpu.forward
    from spikescan.ops.dsn import triton

    return triton.forward


def _in_segments(x: Tensor) -> bool:
    from spikescan.ops.dsn import triton

    return triton.in_segments(x)
