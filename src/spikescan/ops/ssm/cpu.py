"""Sequences as channels and back on the compiled CPU kernel, as a torch operator."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikescan.ops._core.bypass import operator
from spikescan.ops._core.cpu import call as native


class _Arguments(native.KernelArguments):
    """The C struct ``turn_args``, field by field."""

    _fields_ = [  # noqa: RUF012
        *native.pointers("sequences", "channels"),
        *native.integers("B", "T", "D", "P", "back", "threads"),
    ]


def _turn(sequences: Tensor, channels: Tensor, back: bool) -> None:
    native.run(
        "turn",
        _Arguments,
        sequences.dtype,
        sequences=sequences,
        channels=channels,
        P=channels.shape[2],
        back=back,
        **native.sizes(sequences),
    )


@operator("ssm_channels")
def channels(x: Tensor, steps: int) -> Tensor:
    """(D, B, steps) of sequences (B, T, D), T <= steps, with zeros beyond T."""
    out = native.fresh((x.shape[2], x.shape[0], steps), x)
    _turn(x, out, False)
    return out


@operator("ssm_sequences")
def sequences(y: Tensor, steps: int) -> Tensor:
    """(B, steps, D) of channels (D, B, P), P >= steps."""
    out = native.fresh((y.shape[1], steps, y.shape[0]), y)
    _turn(out, y, True)
    return out


@channels.register_fake
def _(x: Tensor, steps: int) -> Tensor:
    return native.fake((x.shape[2], x.shape[0], steps), x)


@sequences.register_fake
def _(y: Tensor, steps: int) -> Tensor:
    return native.fake((y.shape[1], steps, y.shape[0]), y)


def _setup(axis: int) -> Any:
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.steps = inputs[0].shape[axis]

    return setup


channels.register_autograd(lambda ctx, g: (sequences(g, ctx.steps), None), setup_context=_setup(1))
sequences.register_autograd(lambda ctx, g: (channels(g, ctx.steps), None), setup_context=_setup(2))
