"""The public resonate-and-fire op: validate, choose, run."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.registration import Operator
from spikescan.ops.resonate import cpu, fft, reference
from spikescan.ops.resonate.coefficients import coefficients
from spikescan.ops.resonate.contract import Forward, Step
from spikescan.ops.surrogate import DEFAULT, Surrogate, beyond_kernels, kernel_code


class PRFState(NamedTuple):
    """State of :func:`resonate`: the damped oscillator z = u + i r."""

    u: Tensor
    """(B, D), real part, the membrane; at least float32."""
    r: Tensor
    """(B, D), imaginary part; at least float32."""


class ResonateOutput(NamedTuple):
    """Result of :func:`resonate`."""

    spikes: Tensor
    """(B, T, D), dtype of the input, 0 or 1."""
    state: PRFState
    """After the last step."""
    membrane: Tensor | None
    """(B, T, D), the real part at every step, when asked for."""


def resonate(
    x: Tensor,
    delta: Tensor,
    theta: Tensor,
    state: PRFState | None = None,
    *,
    tau: Tensor | float = 2.0,
    threshold: Tensor | float = 1.0,
    surrogate: Surrogate | None = None,
    return_membrane: bool = False,
    lengths: Tensor | None = None,
    impl: Literal["auto", "reference", "cpu", "triton", "fft"] = "auto",
) -> ResonateOutput:
    r"""Run parallel resonate-and-fire (PRF) neurons over whole sequences.

    .. math::
        z_t = e^{\Delta(-1/\tau + i\theta)} z_{t-1} + \Delta x_t, \qquad
        s_t = [\operatorname{Re} z_t \ge V]

    Only the real part fires and the input is real, so with :math:`a = p + iq` this is
    :math:`u_t = p u_{t-1} - q r_{t-1} + \Delta x_t`, :math:`r_t = q u_{t-1} + p r_{t-1}`.

    Args:
        x: input current (B, T, D); float32, float64, bfloat16 or float16. Any strides.
        delta: time step of each channel (D,), positive; differentiable.
        theta: angular frequency of each channel (D,), radians per unit of time; differentiable.
        state: that before the first step, None for rest (0); differentiable.
        tau: time constant, positive, a number or (D,); differentiable.
        threshold: firing threshold V, a number or (D,); differentiable.
        surrogate: derivative of the spike, by default ``ATan(2)``.
        return_membrane: also return Re z at every step, which carries gradient.
        lengths: number of valid steps of each row (B,), see :func:`spikescan.ops.lif`.
        impl: "cpu" is the compiled kernel, "triton" the GPU's, "reference" the loop over time in
            torch, "fft" the convolution with the real kernel; "auto" as in
            :func:`spikescan.ops.lif`. On a GPU few channels run in segments of time, which differs
            from one by rounding.

    Returns:
        Spikes in the input's dtype; state and membrane in at least float32. A membrane that is
        NaN does not fire, and is NaN from there on, as the state then tells.

    The coefficients come from float64 and are rounded once, so that :math:`|a| \le 1` always. A
    float32 scan so resolves decays per step, and angles, to 6e-8: :math:`\tau/\Delta` to a share of
    :math:`6\cdot10^{-8}\,\tau/\Delta` (0.6 % at 1e5), and the phase after t steps to
    :math:`6\cdot10^{-8}\,t`. Memories beyond 1e6 steps want float64 input.

    Raises:
        ValueError: a shape, a length or an option is out of range.
        TypeError: the dtype of ``x`` is not supported.

    Source: Huang et al. 2024 (arXiv 2410.03530), section 4.2 and Algorithm 3. Theirs is a complex
    FFT of length 2T; ``impl="fft"`` uses the real kernel
    :math:`k_j = \Delta e^{-\Delta j/\tau} \cos(\Delta\theta j)` and a real FFT.

    >>> one = torch.ones(1)
    >>> resonate(torch.full((1, 4, 1), 0.8), delta=one, theta=0 * one).spikes.flatten()
    tensor([0., 1., 1., 1.])
    """
    validate.sequence("x", x)
    dtype = validate.accumulator(x.dtype)
    delta, theta, tau = (
        validate.per_channel(name, value, x)
        for name, value in (("delta", delta), ("theta", theta), ("tau", tau))
    )
    level = validate.number_or_each("threshold", threshold, x, dtype)
    u0 = r0 = None
    if state is not None:
        validate.kind("state", state, PRFState)
        u0 = validate.state("state.u", state.u, x, dtype)
        r0 = validate.state("state.r", state.r, x, dtype)
    valid = validate.valid_lengths(lengths, x)
    surrogate = surrogate or DEFAULT
    code = kernel_code(surrogate)
    beyond = None if code else beyond_kernels(surrogate)
    run = validate.choose(impl, x, ("reference", "cpu", "triton", "fft"), beyond)
    # Triton's kernel widens each number as it reads it.
    current = x if run == "triton" or x.dtype is dtype else x.to(dtype)
    if code and run in ("cpu", "triton"):
        own = isinstance(level, Tensor)
        spikes, membrane, u, r, *_ = _forward(run)(
            Forward(
                x=current, parameters=torch.stack((delta, theta, tau)).double(),
                thresholds=level if own else None, u0=u0, r0=r0, lengths=valid,
                threshold=0.0 if own else level, surrogate=code[0], surrogate_parameter=code[1],
                want_membrane=return_membrane, save=False,
            )
        )  # fmt: skip
    else:
        rest = current.new_zeros(x.shape[0], x.shape[2])
        u0, r0 = (rest if part is None else part for part in (u0, r0))
        if run == "fft":
            if valid is not None:
                raise ValueError("impl='fft' does not take lengths; use 'cpu' or 'reference'")
            delta, theta, tau = delta.double(), theta.double(), tau.double()
            spikes, membrane, u, r = fft.resonate(
                current, delta, theta, tau, u0, r0, level, surrogate
            )
        else:
            p, q, gain = coefficients(delta, theta, tau, dtype)
            spikes, membrane, u, r = reference.resonate(
                current, p, q, gain, u0, r0, valid, level, surrogate
            )
    if spikes.dtype is not x.dtype:
        spikes = spikes.to(x.dtype)
    return ResonateOutput(spikes, PRFState(u, r), membrane if return_membrane else None)


def step(
    x: Tensor,
    log_delta: Tensor,
    log_theta: Tensor,
    log_tau: Tensor,
    state: object,
    threshold: Tensor | float,
) -> tuple[Tensor, PRFState] | None:
    """One step x (B, 1, D) without gradient, straight on the CPU's kernel.

    None where that does not fit, or something must be refused: :func:`resonate` does either.
    """
    if not (isinstance(threshold, float) and (state is None or isinstance(state, PRFState))):
        return None
    u0, r0 = (None, None) if state is None else state
    if not validate.step(x, (log_delta, log_theta, log_tau), (u0, r0)):
        return None
    spikes, u, r = cpu.step.plain(
        Step(
            x=x, log_delta=log_delta, log_theta=log_theta, log_tau=log_tau, u0=u0, r0=r0,
            threshold=threshold,
        )
    )  # fmt: skip
    return spikes, PRFState(u, r)


def _forward(run: str) -> Operator:
    if run == "cpu":
        return cpu.forward
    from spikescan.ops.resonate import triton

    return triton.forward
