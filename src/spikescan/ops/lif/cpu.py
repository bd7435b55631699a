"""LIF on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import operator
from spikescan.ops.lif import contract


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
    s, u, v, checkpoints = contract.outputs(x, beta, membrane, save, native.SPAN, native.fresh)
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
    gx, gbeta, gv0 = contract.gradients(x, beta, need_beta, native.fresh)
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


contract.connect(lif_forward, lif_backward, native.SPAN)
