"""Dynamic decay on Triton, as a torch operator; few lanes run in segments of time."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.triton import segments
from spikescan.ops._core.triton.launch import DEVICES, dense, fresh, launch, strides
from spikescan.ops.dsn import contract
from spikescan.ops.dsn.triton_kernels import backward_kernel, forward_kernel

# Steps between two checkpoints of the membrane, as in the LIF. A convolution looks back over fewer.
SPAN = 8


@operator("dsn_forward_triton", DEVICES)
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
    """As the operator of cpu.py; the spikes have the dtype of x."""
    s, m, h, last, saved = contract.outputs(x, alpha, weight, membrane, save, SPAN, fresh)
    rows, h0, inputs = contract.rows(weight, bias), dense(h0), dense(inputs)
    cut = _split(x, weight)
    sizes = (
        exponent, levels, *x.shape[1:], cut.number, cut.length, *x.stride(), *strides(alpha),
    )  # fmt: skip
    constants = {"TAPS": _taps(weight), "WHOLE": _whole(exponent), "SPAN": SPAN}
    start = h0
    if cut.number > 1:
        local, factor = cut.effects(h)
        launch(
            forward_kernel, cut.programs, x,
            x, alpha, None, None, None, lengths, None, None, local[0], None, None, factor[0],
            *sizes, **constants,
        )  # fmt: skip
        start, _ = segments.carry(local, factor, (h0, None))
    launch(
        forward_kernel, cut.programs, x,
        x, alpha, rows, start, inputs, lengths, s, m if membrane else None, h, last,
        saved if save else None, None, *sizes, **constants,
    )  # fmt: skip
    return s, m, h, last, saved


@operator("dsn_backward_triton", DEVICES)
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
    """As the operator of cpu.py; the gradients of x and alpha have their dtype."""
    gx, galpha, gweight, gh0, ginputs = contract.gradients(
        x, alpha, weight, need_alpha, need_weight, fresh
    )
    rows = contract.rows(weight, bias)
    inputs, gh, glast = dense(inputs), dense(gh), dense(glast)
    cut = _split(x, weight)
    sizes = (
        exponent, surrogate_parameter, levels, *x.shape[1:], cut.number, cut.length,
        *x.stride(), *strides(alpha), *strides(gs), *strides(gm),
    )  # fmt: skip
    constants = {
        "SURROGATE": surrogate, "TAPS": _taps(weight), "WHOLE": _whole(exponent), "SPAN": SPAN,
    }  # fmt: skip
    later = None
    if cut.number > 1:
        local, factor = cut.effects(gh0)
        launch(
            backward_kernel, cut.programs, x,
            x, alpha, None, None, checkpoints, lengths, gs, gm, gh, None, None,
            None, None, None, local[0], None, factor[0], *sizes, **constants,
        )  # fmt: skip
        later, _ = segments.carry(local, factor, segments.REST, reverse=True)
    launch(
        backward_kernel, cut.programs, x,
        x, alpha, rows, inputs, checkpoints, lengths, gs, gm, gh, glast, later,
        gx, galpha if need_alpha else None, gweight if need_weight else None, gh0, ginputs, None,
        *sizes, **constants,
    )  # fmt: skip
    return gx, galpha, gweight, gh0, ginputs


def in_segments(x: Tensor) -> bool:
    """Whether a recurrence over x runs in several segments. One with a convolution cannot, whose
    inputs reach beyond the ends of a segment: it is then better taken apart."""
    return segments.split(x, False, SPAN).number > 1


def _split(x: Tensor, weight: Tensor | None) -> segments.Segments:
    cut = segments.split(x, False, SPAN)
    return cut if weight is None else cut._replace(number=1, length=x.shape[1])


def _taps(weight: Tensor | None) -> int:
    return 0 if weight is None else weight.shape[1]


def _whole(exponent: float) -> int:
    """An exponent that is multiplied out, else 0."""
    return int(exponent) if exponent in range(1, 9) else 0


contract.connect(dsn_forward, dsn_backward, SPAN)
