"""Dynamic decay on the compiled CPU kernel, as a torch operator with its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikescan.ops.native import call as native
from spikescan.ops.operator import operator
from spikescan.ops.surrogate import Surrogate

_WINDOW = -1


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


def codes(surrogate: Surrogate | None) -> tuple[int, float]:
    """A surrogate as the kernel receives it: the window from 0 to N, or its code and parameter."""
    return (_WINDOW, 0.0) if surrogate is None else (surrogate.code, surrogate.parameter)


def _rows(weight: Tensor | None, bias: Tensor | None) -> Tensor | None:
    """Weights (D, k) and bias (D,) as the kernel reads them: (k + 1, D)."""
    if weight is None or bias is None:
        return None
    return torch.cat((weight.t(), bias[None])).contiguous()


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
    rows, (h0, inputs) = _rows(weight, bias), _dense(h0, inputs)
    s, m, h, last, checkpoints = _outputs(x, weight, membrane, save, native.fresh)
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
            taps=_taps(weight),
            levels=levels,
            exponent=exponent,
            **native.sizes(x),
        ),
    )
    return s, m, h, last, checkpoints


def _taps(weight: Tensor | None) -> int:
    return 1 if weight is None else weight.shape[1]


def _outputs(
    x: Tensor, weight: Tensor | None, membrane: bool, save: bool, empty: Any
) -> tuple[Tensor, ...]:
    batch, steps, channels = x.shape
    shapes = (
        x.shape,
        x.shape if membrane else (0,),
        (batch, channels),
        (batch, _taps(weight) - 1, channels),
        # One-dimensional, or a compiler would tell one span from several and compile again.
        (batch * -(-steps // native.SPAN) * channels if save else 0,),
    )
    return tuple(empty(shape, x) for shape in shapes)


@dsn_forward.register_fake
def _(x: Tensor, alpha: Tensor | None, weight: Tensor | None, *rest: Any) -> tuple[Tensor, ...]:
    membrane, save = rest[-2:]
    return _outputs(x, weight, membrane, save, native.fake)


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
    rows, (inputs, gh, glast) = _rows(weight, bias), _dense(inputs, gh, glast)
    gx, galpha, gweight, gh0, ginputs = _gradients(x, weight, need_alpha, need_weight, native.fresh)
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
            taps=_taps(weight),
            levels=levels,
            surrogate=surrogate,
            exponent=exponent,
            surrogate_parameter=surrogate_parameter,
            **native.sizes(x),
        ),
    )
    return gx, galpha, gweight, gh0, ginputs


def _gradients(
    x: Tensor, weight: Tensor | None, need_alpha: bool, need_weight: bool, empty: Any
) -> tuple[Tensor, ...]:
    batch, _, channels = x.shape
    taps = _taps(weight)
    return (
        empty(x.shape, x),
        empty(x.shape if need_alpha else (0,), x),
        empty((batch, taps + 1, channels) if need_weight else (0,), x, torch.float64),
        empty((batch, channels), x),
        empty((batch, taps - 1, channels), x),
    )


@dsn_backward.register_fake
def _(x: Tensor, alpha: Tensor | None, weight: Tensor | None, *rest: Any) -> tuple[Tensor, ...]:
    need_alpha, need_weight = rest[-2:]
    return _gradients(x, weight, need_alpha, need_weight, native.fake)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, alpha, weight, bias, h0, carried, lengths, *options, _, save = inputs
    ctx.set_materialize_grads(False)
    ctx.save = save
    ctx.options = options
    ctx.has_state = (h0 is not None, carried is not None)
    ctx.save_for_backward(x, alpha, weight, bias, carried, output[4], lengths)


def _backward(
    ctx: Any,
    gs: Tensor | None,
    gm: Tensor | None,
    gh: Tensor | None,
    glast: Tensor | None,
    _: Tensor | None,
) -> tuple[Any, ...]:
    if not ctx.save:
        raise RuntimeError("dsn_forward ran with save=False and cannot be differentiated")
    x, *saved = ctx.saved_tensors
    need_alpha, need_weight, need_bias = ctx.needs_input_grad[1:4]
    gx, galpha, sums, gh0, ginputs = dsn_backward(
        x, *saved, gs, gm, gh, glast, *ctx.options, need_alpha, need_weight or need_bias
    )
    gweight = gbias = None
    if need_weight or need_bias:
        total = sums.sum(0).to(x.dtype)
        gweight, gbias = total[:-1].t(), total[-1]
    states = [g if has else None for g, has in zip((gh0, ginputs), ctx.has_state, strict=True)]
    return (gx, galpha if need_alpha else None, gweight, gbias, *states, *[None] * 7)


dsn_forward.register_autograd(_backward, setup_context=_setup)
dsn_backward.refuse_derivative("dsn")
