"""Dynamic decay on Triton, as torch operators; few lanes run in segments of time."""

from __future__ import annotations

from torch import Tensor

from spikescan.ops._core.cpu.call import fake
from spikescan.ops._core.pair import pair
from spikescan.ops._core.triton import segments
from spikescan.ops._core.triton.launch import DEVICES, dense, fresh, launch, strides
from spikescan.ops.dsn import contract
from spikescan.ops.dsn.triton_kernels import backward_kernel, forward_kernel

# Steps between two checkpoints of the membrane, as in the LIF. A convolution looks back over fewer.
SPAN = 8


def _forward(given: contract.Forward) -> tuple[Tensor, ...]:
    x, alpha, weight, bias, h0, inputs, lengths, exponent, levels, _, _, membrane, save = given
    s, m, h, last, saved = contract.outputs(given, SPAN, fresh)
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


def _backward(given: contract.Backward) -> tuple[Tensor, ...]:
    x, alpha, weight, bias, inputs, checkpoints, lengths, gs, gm, gh, glast, *options = given
    exponent, levels, surrogate, surrogate_parameter, need_alpha, need_weight = options
    gx, galpha, gweight, gh0, ginputs = contract.gradient_outputs(given, fresh)
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


forward, backward = pair(
    "dsn_{}_triton", contract, forward=_forward, backward=_backward, results=(5, 5),
    fake=lambda given: contract.outputs(given, SPAN, fake), empty=fake, devices=DEVICES,
)  # fmt: skip
