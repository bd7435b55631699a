"""Resonate-and-fire on the compiled CPU kernel, as a torch operator with its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan.ops.native import call as native
from spikescan.ops.operator import operator


class _Arguments(native.KernelArguments):
    """The C struct ``resonate_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("x", "p", "q", "gain", "u0", "r0", "gs", "gm", "gu", "gr", "lengths"),
        *native.strides("x", "gs", "gm"),
        *native.pointers("s", "membrane", "u", "r", "checkpoints", "gx", "gpqg", "gu0", "gr0"),
        *native.integers("B", "T", "D", "surrogate", "threads"),
        *native.doubles("threshold", "alpha"),
    ]


@operator("resonate_forward")
def resonate_forward(
    x: Tensor,
    p: Tensor,
    q: Tensor,
    gain: Tensor,
    u0: Tensor | None,
    r0: Tensor | None,
    lengths: Tensor | None,
    threshold: float,
    surrogate: int,
    alpha: float,
    membrane: bool,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Spikes, membrane (empty unless asked), u, r, checkpoints (empty unless saved)."""
    keep = [None if t is None else t.contiguous() for t in (p, q, gain, u0, r0)]
    s, m, u, r, checkpoints = _outputs(x, membrane, save, native.fresh)
    native.call(
        "resonate_forward",
        x.dtype,
        _Arguments(
            x=x.data_ptr(),
            x_stride=native.strides_of(x),
            **dict(zip(("p", "q", "gain", "u0", "r0"), map(native.address, keep), strict=True)),
            lengths=native.address(lengths),
            s=s.data_ptr(),
            membrane=m.data_ptr() if membrane else None,
            u=u.data_ptr(),
            r=r.data_ptr(),
            checkpoints=checkpoints.data_ptr() if save else None,
            threshold=threshold,
            **native.sizes(x),
        ),
    )
    return s, m, u, r, checkpoints


def _outputs(x: Tensor, membrane: bool, save: bool, empty: Any) -> tuple[Tensor, ...]:
    batch, steps, channels = x.shape
    lanes = (batch, channels)
    saved = (batch * 2 * -(-steps // native.SPAN) * channels if save else 0,)  # as in lif
    shapes = (x.shape, x.shape if membrane else (0,), lanes, lanes, saved)
    return tuple(empty(shape, x) for shape in shapes)


@resonate_forward.register_fake
def _(x: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    membrane, save = arguments[-2:]
    return _outputs(x, membrane, save, native.fake)


@operator("resonate_backward")
def resonate_backward(
    x: Tensor,
    p: Tensor,
    q: Tensor,
    gain: Tensor,
    checkpoints: Tensor,
    lengths: Tensor | None,
    gs: Tensor | None,
    gm: Tensor | None,
    gu: Tensor | None,
    gr: Tensor | None,
    threshold: float,
    surrogate: int,
    alpha: float,
    need_coefficients: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, of (p, q, gain) for each row (B, 3, D) float64 or empty, of u0 and r0."""
    keep = [None if t is None else t.contiguous() for t in (p, q, gain, gu, gr)]
    gx, gpqg, gu0, gr0 = _gradients(x, need_coefficients, native.fresh)
    native.call(
        "resonate_backward",
        x.dtype,
        _Arguments(
            x=x.data_ptr(),
            x_stride=native.strides_of(x),
            **dict(zip(("p", "q", "gain", "gu", "gr"), map(native.address, keep), strict=True)),
            checkpoints=checkpoints.data_ptr(),
            lengths=native.address(lengths),
            **native.strided("gs", gs),
            **native.strided("gm", gm),
            gx=gx.data_ptr(),
            gpqg=gpqg.data_ptr() if need_coefficients else None,
            gu0=gu0.data_ptr(),
            gr0=gr0.data_ptr(),
            surrogate=surrogate,
            threshold=threshold,
            alpha=alpha,
            **native.sizes(x),
        ),
    )
    return gx, gpqg, gu0, gr0


def _gradients(x: Tensor, need_coefficients: bool, empty: Any) -> tuple[Tensor, ...]:
    lanes = (x.shape[0], x.shape[2])
    sums = (x.shape[0], 3, x.shape[2]) if need_coefficients else (0,)
    return empty(x.shape, x), empty(sums, x, torch.float64), empty(lanes, x), empty(lanes, x)


@resonate_backward.register_fake
def _(x: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    return _gradients(x, arguments[-1], native.fake)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, p, q, gain, u0, r0, lengths, *options, _, save = inputs
    ctx.set_materialize_grads(False)
    ctx.save = save
    ctx.options = options
    ctx.has_state = (u0 is not None, r0 is not None)
    ctx.save_for_backward(x, p, q, gain, output[4], lengths)


def _backward(
    ctx: Any,
    gs: Tensor | None,
    gm: Tensor | None,
    gu: Tensor | None,
    gr: Tensor | None,
    _: Tensor | None,
) -> tuple[Any, ...]:
    if not ctx.save:
        raise RuntimeError("resonate_forward ran with save=False and cannot be differentiated")
    x, p, q, gain, checkpoints, lengths = ctx.saved_tensors
    need = any(ctx.needs_input_grad[1:4])
    gx, gpqg, gu0, gr0 = resonate_backward(
        x, p, q, gain, checkpoints, lengths, gs, gm, gu, gr, *ctx.options, need
    )
    coefficients = gpqg.sum(0).to(p.dtype).unbind(0) if need else (None, None, None)
    states = [g if has else None for g, has in zip((gu0, gr0), ctx.has_state, strict=True)]
    return (gx, *coefficients, *states, *[None] * 6)


resonate_forward.register_autograd(_backward, setup_context=_setup)
resonate_backward.refuse_derivative("resonate")
