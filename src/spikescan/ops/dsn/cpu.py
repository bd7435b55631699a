"""Dynamic decay on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import operator
from spikescan.ops.dsn import contract


class _Arguments(native.KernelArguments):
    """The C struct ``dsn_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("x", "alpha", "weight", "h0", "inputs", "gs", "gm", "gh", "glast"),
        *native.pointers("lengths"),
        *native.strides("x", "alpha", "gs", "gm"),
        *native.pointers("s", "membrane", "h", "last", "checkpoints"),
        *native.pointers("gx", "galpha", "gweight", "gh0", "ginputs"),
        *native.integers("B", "T", "D", "taps", "levels", "surrogate", "threads"),
        *native.doubles("exponent", "surrogate_parameter"),
    ]


def _dense(*tensors: Tensor | None) -> list[Tensor | None]:
    return [None if t is None else t.contiguous() for t in tensors]


@operator("dsn_forward")
def dsn_forward(
    x: Tensor,
    alpha: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    h0: Tensor | None,
    inputs: Tensor | None,
    lengths: Tensor | None,
    exponent: float,
    levels: int,
    surrogate: int,
    surrogate_parameter: float,
    membrane: bool,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Spikes, membrane (empty unless asked), h, last inputs, checkpoints (empty unless saved).

    Either ``alpha`` (B, T, D) is given or ``weight`` (D, k) and ``bias`` (D,).
    """
    rows, (h0, inputs) = contract.rows(weight, bias), _dense(h0, inputs)
    s, m, h, last, checkpoints = contract.outputs(
        x, alpha, weight, membrane, save, native.SPAN, native.fresh
    )
    native.call(
        "dsn_forward",
        x.dtype,
        _Arguments(
            **native.strided("x", x),
            **native.strided("alpha", alpha),
            weight=native.address(rows),
            h0=native.address(h0),
            inputs=native.address(inputs),
            lengths=native.address(lengths),
            s=s.data_ptr(),
            membrane=m.data_ptr() if membrane else None,
            h=h.data_ptr(),
            last=last.data_ptr(),
            checkpoints=checkpoints.data_ptr() if save else None,
            taps=contract.taps(weight),
            levels=levels,
            exponent=exponent,
            **native.sizes(x),
        ),
    )
    return s, m, h, last, checkpoints


@operator("dsn_backward")
def dsn_backward(
    x: Tensor,
    alpha: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    inputs: Tensor | None,
    checkpoints: Tensor,
    lengths: Tensor | None,
    gs: Tensor | None,
    gm: Tensor | None,
    gh: Tensor | None,
    glast: Tensor | None,
    exponent: float,
    levels: int,
    surrogate: int,
    surrogate_parameter: float,
    need_alpha: bool,
    need_weight: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, of alpha (or empty), of weight and bias for each row (B, k + 1, D) float64
    (or empty), of h0, of the carried inputs."""
    rows, (inputs, gh, glast) = contract.rows(weight, bias), _dense(inputs, gh, glast)
    gx, galpha, gweight, gh0, ginputs = contract.gradients(
        x, alpha, weight, need_alpha, need_weight, native.fresh
    )
    native.call(
        "dsn_backward",
        x.dtype,
        _Arguments(
            **native.strided("x", x),
            **native.strided("alpha", alpha),
            weight=native.address(rows),
            inputs=native.address(inputs),
            lengths=native.address(lengths),
            checkpoints=checkpoints.data_ptr(),
            **native.strided("gs", gs),
            **native.strided("gm", gm),
            gh=native.address(gh),
            glast=native.address(glast),
            gx=gx.data_ptr(),
            galpha=galpha.data_ptr() if need_alpha else None,
            gweight=gweight.data_ptr() if need_weight else None,
            gh0=gh0.data_ptr(),
            ginputs=ginputs.data_ptr(),
            taps=contract.taps(weight),
            levels=levels,
            surrogate=surrogate,
            exponent=exponent,
            surrogate_parameter=surrogate_parameter,
            **native.sizes(x),
        ),
    )
    return gx, galpha, gweight, gh0, ginputs


contract.connect(dsn_forward, dsn_backward, native.SPAN)
