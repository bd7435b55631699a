"""The public state-space op: validate, choose, run."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.registration import recording
from spikescan.ops.ssm import chunked, cpu, graph, reference
from spikescan.ops.ssm.system import Diagonal, LowRank


class SSMOutput(NamedTuple):
    """Result of :func:`ssm`."""

    y: Tensor
    """(B, T, D), dtype of the input."""
    h: Tensor | None
    """(B, D, N), the state after the last step, at least float32; None for a two-sided system."""


def ssm(
    x: Tensor,
    system: Diagonal | LowRank,
    h0: Tensor | None = None,
    *,
    skip: Tensor | None = None,
    lengths: Tensor | None = None,
    impl: Literal["auto", "reference", "chunked", "cpu"] = "auto",
) -> SSMOutput:
    r"""Run linear state-space models over whole sequences, one for each channel.

    .. math::
        h_t = A h_{t-1} + B x_t, \qquad y_t = C h_t + S x_t

    With output weights :math:`C'` backwards in time the system is two-sided and has no final
    state: :math:`y_t = C h_t + C' g_{t+1} + S x_t` where :math:`g_t = A g_{t+1} + B x_t`.

    Args:
        x: input (B, T, D); float32, float64, bfloat16 or float16. Any strides. Differentiable.
        system: :func:`~spikescan.ops.ssm.diagonal` or :func:`~spikescan.ops.ssm.low_rank`, of D
            channels; differentiable in all its tensors.
        h0: state before the first step (B, D, N), None for zero; differentiable.
        skip: S (D,), direct path from input to output, None for zero; differentiable.
        lengths: number of valid steps of each row (B,). Steps beyond it are not run: outputs and
            gradients there are zero, and the state is that after the last valid step.
        impl: "cpu" is the compiled kernel, "chunked" the same chunks of time as torch's matrix
            products, "reference" the loop over time. "auto" is "cpu" for tensors on the CPU where
            the kernels are installed, else "chunked".

    Raises:
        ValueError: a shape or a length is out of range, or a state is given to a two-sided system.
        TypeError: the dtype of ``x`` is not supported.

    Source: Gu et al. 2022 (arXiv 2111.00396), equations 3 to 5; two-sided as their code does it,
    with the kernel backwards in time starting at the next step. They convolve by FFT of length 2T;
    the chunks here are the same sums, many times faster on a CPU, and give states for free.
    """
    _, steps, channels = validate.sequence("x", x)
    _check_system(system, x)
    if system.b.shape[0] != channels:
        raise ValueError(f"x must have {system.b.shape[0]} channels, got {tuple(x.shape)}")
    dtype = validate.accumulator(x.dtype)
    if h0 is not None:
        if system.c_back is not None:
            raise ValueError("h0 must be None for a two-sided system, which reads the future")
        validate.tensor("h0", h0, x)
        shape = (x.shape[0], channels, 2 * system.b.shape[1])
        if h0.shape != shape or h0.is_complex():
            raise ValueError(f"h0 must be real of shape {shape}, got {h0.dtype} {tuple(h0.shape)}")
        h0 = h0.to(dtype)
    if skip is not None:
        skip = validate.per_channel("skip", skip, x, dtype)
    run = _choose(impl, x)
    valid = validate.valid_lengths(lengths, x)
    inside = None
    # The kernel reads and writes no padding, but for a two-sided system.
    if valid is not None and (run is not cpu.ssm or system.c_back is not None):
        inside = (torch.arange(steps, device=x.device) < valid[:, None]).unsqueeze(-1)
        x = torch.where(inside, x, 0)
    current = x.to(dtype)
    # Matrix products would otherwise be rounded to half precision under autocast.
    with torch.autocast(x.device.type, enabled=False):
        if steps == 0:
            run = reference.ssm
        elif recording() and run is not reference.ssm:
            run = graph.recorded(run)
        y, h = run(current, system, h0, valid, skip)
    if inside is not None:
        y = torch.where(inside, y, 0)
    return SSMOutput(y.to(x.dtype), h)


def _choose(impl: str, x: Tensor) -> graph.Scan:
    """The function that runs ``impl``."""
    if impl == "chunked":
        return chunked.ssm
    if impl == "reference":
        return reference.ssm
    run = validate.choose(impl, x, ("reference", "chunked", "cpu"))
    return cpu.ssm if run == "cpu" else chunked.ssm


def _check_system(system: Diagonal | LowRank, x: Tensor) -> None:
    """All tensors of a system are its b, (D, M) complex128, in kind; but a gain is (D, 1)."""
    validate.tensor("system.b", system.b, x)
    if system.b.ndim != 2:
        raise ValueError(f"system.b must have shape (D, M), got {tuple(system.b.shape)}")
    channels, modes = system.b.shape
    parts: dict[str, Tensor | None] = system._asdict()
    for name, value in parts.items():
        if value is None:
            if name != "c_back":
                validate.tensor(f"system.{name}", value, x)
            continue
        validate.tensor(f"system.{name}", value, x)
        own = name == "gain"
        shape, dtype = (channels, 1 if own else modes), torch.float64 if own else torch.complex128
        if value.shape != shape or value.dtype != dtype:
            raise ValueError(
                f"system.{name} must be {dtype} of shape {shape}, got {value.dtype} of shape "
                f"{tuple(value.shape)}"
            )
