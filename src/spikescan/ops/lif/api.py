"""The public LIF op: validate, choose, run."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.registration import Operator, differentiated
from spikescan.ops.lif import contract, cpu, fft, reference
from spikescan.ops.lif.contract import Forward, Step
from spikescan.ops.surrogate import DEFAULT, Surrogate, beyond_kernels, kernel_code

Reset = Literal["soft", "hard", "none"]
RESETS: tuple[Reset, ...] = ("none", "soft", "hard")
"""Kinds of reset; the position of each is its code in the compiled kernels."""


class LIFState(NamedTuple):
    """State of :func:`lif`."""

    v: Tensor
    """(B, D), membrane after the last step and its reset; at least float32."""


class Leak(NamedTuple):
    """A decay as what a step forgets, 1 - beta, which a kernel turns into beta by itself."""

    leak: Tensor
    """(D,), without gradient."""


class LIFOutput(NamedTuple):
    """Result of :func:`lif`."""

    spikes: Tensor
    """(B, T, D), dtype of the input, 0 or 1."""
    state: LIFState
    """After the last step."""
    membrane: Tensor | None
    """(B, T, D), the membrane before each reset, when asked for."""


def lif(
    x: Tensor,
    beta: Tensor | float | Leak,
    state: LIFState | None = None,
    *,
    threshold: Tensor | float = 1.0,
    reset: Reset = "soft",
    v_reset: Tensor | float = 0.0,
    detach_reset: bool = True,
    surrogate: Surrogate | None = None,
    return_membrane: bool = False,
    lengths: Tensor | None = None,
    impl: Literal["auto", "reference", "cpu", "triton", "fft"] = "auto",
) -> LIFOutput:
    r"""Run leaky integrate-and-fire neurons with exact reset over whole sequences.

    .. math::
        u_t = \beta v_{t-1} + x_t, \qquad s_t = [u_t \ge V], \qquad
        v_t = \begin{cases} u_t - V s_t & \text{soft} \\
              u_t (1 - s_t) + V_\text{reset} s_t & \text{hard} \\ u_t & \text{none} \end{cases}

    The backward pass is backpropagation through time, exactly: through the surrogate at each
    spike and, unless ``detach_reset``, through the reset as well.

    Args:
        x: input current (B, T, D); float32, float64, bfloat16 or float16. Any strides.
        beta: decay per step in [0, 1], a number or (D,), differentiable; or a ``Leak``, 1 - beta.
        state: that before the first step, None for rest (0); differentiable.
        threshold: firing threshold V, in units of the membrane, a number or (D,); differentiable.
        reset: kind of reset.
        v_reset: membrane after a hard reset, a number or (D,); differentiable.
        detach_reset: cut the gradient through the reset, as the PRF paper trains.
        surrogate: derivative of the spike, by default ``ATan(2)``; any :class:`Surrogate`.
        return_membrane: also return the membrane before each reset, which carries gradient.
        lengths: number of valid steps of each row (B,). Steps beyond it are not run: outputs and
            gradients there are zero, and the state is that after the last valid step.
        impl: "cpu" is the compiled kernel, "triton" the GPU's, "reference" the loop over time in
            torch, "fft" the paper's convolution and threshold scan (soft reset only, slower,
            inexact in float32); "auto" is "triton" for CUDA tensors where Triton is installed,
            "cpu" for CPU tensors where the compiled kernels are, else "reference", as it is for a
            surrogate of your own, which no kernel knows.

    Returns:
        Spikes in the input's dtype, the final state and the membrane in at least float32. A
        membrane that is NaN does not fire, and is NaN from there on, as the state then tells.

    Raises:
        ValueError: a shape, a length or an option is out of range.
        TypeError: the dtype of ``x`` is not supported.

    Source: Huang et al. 2024 (arXiv 2410.03530), section 4.1. Their equations 4-11 print the sum
    over past spikes without its powers of the decay; their Algorithm 2 has them, and so has this.

    >>> out = lif(torch.full((1, 5, 1), 0.6), beta=0.5)
    >>> out.spikes.flatten()
    tensor([0., 0., 1., 0., 0.])
    """
    validate.sequence("x", x)
    if reset not in RESETS:
        raise ValueError(f"reset must be one of {RESETS}, got {reset!r}")
    dtype = validate.accumulator(x.dtype)
    decay = leak = None
    if isinstance(beta, Leak):
        if differentiated(beta):
            raise ValueError("a Leak carries no gradient: give beta as a tensor, 1 - leak")
        leak = validate.per_channel("beta", beta.leak, x)
    else:
        decay = validate.per_channel("beta", beta, x, dtype)
    level = validate.number_or_each("threshold", threshold, x, dtype)
    target = validate.number_or_each("v_reset", v_reset, x, dtype)
    v0 = None
    if state is not None:
        validate.kind("state", state, LIFState)
        v0 = validate.state("state.v", state.v, x, dtype)
    valid = validate.valid_lengths(lengths, x)
    surrogate = surrogate or DEFAULT
    code = kernel_code(surrogate)
    beyond = None if code else beyond_kernels(surrogate)
    run = validate.choose(impl, x, ("reference", "cpu", "triton", "fft"), beyond)
    # Triton's kernel widens each number as it reads it.
    current = x if run == "triton" or x.dtype is dtype else x.to(dtype)
    if code and run in ("cpu", "triton"):
        thresholds = None
        if isinstance(level, Tensor) or isinstance(target, Tensor):
            thresholds = torch.stack(
                [validate.per_channel("", value, x, dtype) for value in (level, target)]
            )
            level = target = 0.0
        spikes, u, v, _ = _forward(run)(
            Forward(
                x=current, beta=decay, leak=leak, thresholds=thresholds, v0=v0, lengths=valid,
                threshold=level, v_reset=target, reset=RESETS.index(reset), detach=detach_reset,
                surrogate=code[0], surrogate_parameter=code[1], want_membrane=return_membrane,
                save=False,
            )
        )  # fmt: skip
    else:
        if run == "fft" and reset != "soft":
            raise ValueError(f"impl='fft' covers reset='soft' only, got reset={reset!r}")
        if run == "fft" and valid is not None:
            raise ValueError("impl='fft' does not take lengths; use 'cpu' or 'reference'")
        if leak is not None:
            decay = contract.decay(dtype, leak)
        assert decay is not None
        if v0 is None:
            v0 = current.new_zeros(x.shape[0], x.shape[2])
        if run == "fft":
            spikes, u, v = fft.lif(current, decay, v0, level, detach_reset, surrogate)
        else:
            spikes, u, v = reference.lif(
                current, decay, v0, valid, level, reset, target, detach_reset, surrogate
            )
    if spikes.dtype is not x.dtype:
        spikes = spikes.to(x.dtype)
    return LIFOutput(spikes, LIFState(v), u if return_membrane else None)


def step(
    x: Tensor,
    leak: Tensor,
    state: object,
    threshold: Tensor | float,
    reset: Reset,
    v_reset: Tensor | float,
) -> tuple[Tensor, LIFState] | None:
    """One step x (B, 1, D) without gradient, straight on the CPU's kernel.

    None where that does not fit, or something must be refused: :func:`lif` does either.
    """
    if not (isinstance(threshold, float) and isinstance(v_reset, float)):
        return None
    if not (state is None or isinstance(state, LIFState)):
        return None
    v0 = None if state is None else state.v
    if not validate.step(x, (leak,), (v0,)):
        return None
    spikes, v = cpu.step.plain(
        Step(x=x, leak=leak, v0=v0, threshold=threshold, v_reset=v_reset, reset=RESETS.index(reset))
    )
    return spikes, LIFState(v)


def _forward(run: str) -> Operator:
    if run == "cpu":
        return cpu.forward
    from spikescan.ops.lif import triton

    return triton.forward
