"""Sequences as channels and back on the compiled CPU kernel, as torch operators."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.registration import Operator
from spikescan.ops.ssm.contract import Turn


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


def _channels_out(given: Turn, empty: Any) -> Tensor:
    batch, _, channels = given.x.shape
    return empty((channels, batch, given.steps), given.x)


def _sequences_out(given: Turn, empty: Any) -> Tensor:
    channels, batch, _ = given.x.shape
    return empty((batch, given.steps, channels), given.x)


def _channels(given: Turn) -> Tensor:
    out = _channels_out(given, native.fresh)
    _turn(given.x, out, False)
    return out


def _sequences(given: Turn) -> Tensor:
    out = _sequences_out(given, native.fresh)
    _turn(out, given.x, True)
    return out


channels = Operator(
    "ssm_channels",
    Turn,
    results=1,
    kernel=_channels,
    fake=lambda given: _channels_out(given, native.fake),
)
sequences = Operator(
    "ssm_sequences",
    Turn,
    results=1,
    kernel=_sequences,
    fake=lambda given: _sequences_out(given, native.fake),
)
