"""The public resonate-and-fire op: validate, choose, run."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.bypass import Operator
from spikescan.ops.resonate import cpu, fft, reference
from spikescan.ops.resonate.coefficients import coefficients
from spikescan.ops.surrogate import ATan, Surrogate, beyond_kernels, kernel_code


class ResonateOutput(NamedTuple):
    """Result of :func:`resonate`."""

    spikes: Tensor
    """(B, T, D), dtype of the input, 0 or 1."""
    u: Tensor
    """(B, D), real part of the oscillator after the last step."""
    r: Tensor
    """(B, D), imaginary part of the oscillator after the last step."""
    membrane: Tensor | None
    """(B, T, D), the real part at every step, when asked for."""


def resonate(
    x: Tensor,
    delta: Tensor,
    theta: Tensor,
    state: tuple[Tensor, Tensor] | None = None,
    *,
    tau: Tensor | float = 2.0,
    threshold: float = 1.0,
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
        state: (u, r) before the first step, each (B, D); None for rest. Differentiable.
        tau: time constant, positive, a number or (D,); differentiable.
        threshold: firing threshold V.
        surrogate: derivative of the spike, by default ``ATan(2)``.
        return_membrane: also return Re z at every step, which carries gradient.
        lengths: number of valid steps of each row (B,), see :func:`spikescan.ops.lif`.
        impl: "cpu" is the compiled kernel, "triton" the GPU's, "reference" the loop over time in
            torch, "fft" the convolution with the real kernel; "auto" as in
            :func:`spikescan.ops.lif`. On a GPU few channels run in segments of time, which differs
            from one by rounding.

    Returns:
        Spikes in the input's dtype; state and membrane in at least float32.

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
    u0, r0 = (None, None) if state is None else state
    u0, r0 = validate.state("state[0]", u0, x, dtype), validate.state("state[1]", r0, x, dtype)
    valid = validate.valid_lengths(lengths, x)
    surrogate = surrogate or ATan()
    code = kernel_code(surrogate)
    beyond = None if code else beyond_kernels(surrogate)
    run = validate.choose(impl, x, ("reference", "cpu", "triton", "fft"), beyond)
    # Triton's kernel widens each number as it reads it.
    current = x if run == "triton" else x.to(dtype)
    if code and run in ("cpu", "triton"):
        parameters = torch.stack((delta, theta, tau)).double()
        tracked = any(t is not None and t.requires_grad for t in (x, parameters, u0, r0))
        spikes, membrane, u, r, *_ = _forward(run)(
            current, parameters, u0, r0, valid, threshold, *code, return_membrane,
            tracked and torch.is_grad_enabled(),
        )  # fmt: skip
    else:
        rest = current.new_zeros(x.shape[0], x.shape[2])
        u0, r0 = (rest if part is None else part for part in (u0, r0))
        if run == "fft":
            if valid is not None:
                raise ValueError("impl='fft' does not take lengths; use 'cpu' or 'reference'")
            delta, theta, tau = delta.double(), theta.double(), tau.double()
            spikes, membrane, u, r = fft.resonate(
                current, delta, theta, tau, u0, r0, threshold, surrogate
            )
        else:
            p, q, gain = coefficients(delta, theta, tau, dtype)
            spikes, membrane, u, r = reference.resonate(
                current, p, q, gain, u0, r0, valid, threshold, surrogate
            )
    return ResonateOutput(spikes.to(x.dtype), u, r, membrane if return_membrane else None)


def _forward(run: str) -> Operator:
    if run == "cpu":
        return cpu.resonate_forward
    from spikescan.ops.resonate import triton

    return triton.resonate_forward
