"""LIF on the compiled CPU kernel, as a torch operator with fake kernel and gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan.ops.native import call as native
from spikescan.ops.operator import operator


class _Arguments(native.KernelArguments):
    """The C struct ``lif_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("x", "beta", "v0", "gs", "gu", "gv", "lengths"),
        *native.strides("x", "gs", "gu"),
        *native.pointers("s", "u", "v", "checkpoints", "gx", "gbeta", "gv0"),
        *native.integers("B", "T", "D", "reset", "detach", "surrogate", "threads"),
        *native.doubles("threshold", "v_reset", "alpha"),
    ]


@operator("lif_forward")
def lif_forward(
    x: Tensor,
    beta: Tensor,
    v0: Tensor | None,
    lengths: Tensor | None,
    threshold: float,
    v_reset: float,
    reset: int,
    detach: bool,
    surrogate: int,
    alpha: float,
    membrane: bool,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes, membrane (empty unless asked), state, checkpoints (empty unless saved)."""
    beta, v0 = beta.contiguous(), None if v0 is None else v0.contiguous()
    s, u, v, checkpoints = _outputs(x, membrane, save, native.fresh)
    native.call(
        "lif_forward",
        x.dtype,
        _Arguments(
            x=x.data_ptr(),
            x_stride=native.strides_of(x),
            beta=beta.data_ptr(),
            v0=native.address(v0),
            lengths=native.address(lengths),
            s=s.data_ptr(),
            u=u.data_ptr() if membrane else None,
            v=v.data_ptr(),
            checkpoints=checkpoints.data_ptr() if save else None,
            reset=reset,
            threshold=threshold,
            v_reset=v_reset,
            **native.sizes(x),
        ),
    )
    return s, u, v, checkpoints


def _outputs(x: Tensor, membrane: bool, save: bool, empty: Any) -> tuple[Tensor, ...]:
    batch, steps, channels = x.shape
    # In one dimension: an own one for the spans would make a compiler tell T <= SPAN from T > SPAN.
    saved = (batch * -(-steps // native.SPAN) * channels if save else 0,)
    shapes = (x.shape, x.shape if membrane else (0,), (batch, channels), saved)
    return tuple(empty(shape, x) for shape in shapes)


@lif_forward.register_fake
def _(x: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    membrane, save = arguments[-2:]
    return _outputs(x, membrane, save, native.fake)


@operator("lif_backward")
def lif_backward(
    x: Tensor,
    beta: Tensor,
    checkpoints: Tensor,
    lengths: Tensor | None,
    gs: Tensor | None,
    gu: Tensor | None,
    gv: Tensor | None,
    threshold: float,
    v_reset: float,
    reset: int,
    detach: bool,
    surrogate: int,
    alpha: float,
    need_beta: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x (B, T, D), of beta for each row (B, D) float64 or empty, of v0 (B, D)."""
    beta, gv = beta.contiguous(), None if gv is None else gv.contiguous()
    gx, gbeta, gv0 = _gradients(x, need_beta, native.fresh)
    native.call(
        "lif_backward",
        x.dtype,
        _Arguments(
            x=x.data_ptr(),
            x_stride=native.strides_of(x),
            beta=beta.data_ptr(),
            checkpoints=checkpoints.data_ptr(),
            lengths=native.address(lengths),
            **native.strided("gs", gs),
            **native.strided("gu", gu),
            gv=native.address(gv),
            gx=gx.data_ptr(),
            gbeta=gbeta.data_ptr() if need_beta else None,
            gv0=gv0.data_ptr(),
            reset=reset,
            detach=detach,
            surrogate=surrogate,
            threshold=threshold,
            v_reset=v_reset,
            alpha=alpha,
            **native.sizes(x),
        ),
    )
    return gx, gbeta, gv0


def _gradients(x: Tensor, need_beta: bool, empty: Any) -> tuple[Tensor, Tensor, Tensor]:
    lanes = (x.shape[0], x.shape[2])
    return empty(x.shape, x), empty(lanes if need_beta else (0,), x, torch.float64), empty(lanes, x)


@lif_backward.register_fake
def _(x: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _gradients(x, arguments[-1], native.fake)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, beta, v0, lengths, *options, _, save = inputs
    ctx.set_materialize_grads(False)
    ctx.save = save
    ctx.options = options
    ctx.has_v0 = v0 is not None
    ctx.save_for_backward(x, beta, output[3], lengths)


def _backward(
    ctx: Any, gs: Tensor | None, gu: Tensor | None, gv: Tensor | None, _: Tensor | None
) -> tuple[Any, ...]:
    if not ctx.save:
        raise RuntimeError("lif_forward ran with save=False and cannot be differentiated")
    x, beta, checkpoints, lengths = ctx.saved_tensors
    need_beta = ctx.needs_input_grad[1]
    gx, gbeta, gv0 = lif_backward(
        x, beta, checkpoints, lengths, gs, gu, gv, *ctx.options, need_beta
    )
    grads = (gx, gbeta.sum(0).to(beta.dtype) if need_beta else None, gv0 if ctx.has_v0 else None)
    return (*grads, *[None] * 9)


lif_forward.register_autograd(_backward, setup_context=_setup)
lif_backward.refuse_derivative("lif")
