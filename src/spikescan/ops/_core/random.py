"""Random numbers that belong to a key, a step and a channel, in torch operations.

A number is a hash of the three: the same whatever the layout, the chunks and the device.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_BLOCK = 1 << 17
"""Elements hashed at a time: they stay in cache over the dozen passes of the hash."""


def _signed(value: int, bits: int) -> int:
    """The lowest bits as a number in two's complement, which torch's integers need."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


GOLDEN = _signed(0x9E3779B97F4A7C15, 64)
_MIX64 = (_signed(0xBF58476D1CE4E5B9, 64), _signed(0x94D049BB133111EB, 64))
_MIX32 = tuple(_signed(c, 32) for c in (0xED5AD4BB, 0xAC4C1B51, 0x31848BAB))


def other_key(key: Tensor, draw: int) -> Tensor:
    """Keys (B,) for one of several independent draws; the first has the key itself."""
    return splitmix(key + _signed(draw * GOLDEN, 64)) if draw else key


def split_key(key: Tensor, part: Tensor) -> Tensor:
    """Keys of numbered parts of what a key belongs to; none is the key of a draw or a step."""
    return splitmix(splitmix(key) + part * GOLDEN)


def integers(
    key: Tensor, start: Tensor, steps: int, out: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Random integers in [-2^23, 2^23), for the keys (B,) of rows and the numbers (B,) of their
    first steps.

    Args:
        key: (B,) int64.
        start: (B,) int64.
        steps: how many follow.
        out: memory of a number each, (B, T, D).

    Yields:
        A block of ``out`` as (rows, D), and the integers for it.
    """
    channels = out.shape[2]
    time = start[:, None] + torch.arange(1, steps + 1, device=key.device)
    high, low = words(splitmix(key[:, None] + time * GOLDEN).flatten()[:, None])
    lane = torch.arange(1, channels + 1, device=key.device) * GOLDEN
    more, salt = words(splitmix(lane))
    flat = out.view(-1, channels)
    rows = max(1, _BLOCK // channels)
    if torch.compiler.is_compiling():
        rows = max(1, flat.shape[0])
    for at in range(0, flat.shape[0], rows):
        # The rounds of triple32 (Wellons 2018), with 32 fresh bits of step or channel in each: all
        # 128 are mixed, so that no two channels are coupled.
        x = low[at : at + rows] ^ salt
        x.bitwise_xor_(_shift(x, 17, 32)).mul_(_MIX32[0])
        x.bitwise_xor_(_shift(x, 11, 32)).add_(high[at : at + rows]).mul_(_MIX32[1])
        x.bitwise_xor_(_shift(x, 15, 32)).add_(more).mul_(_MIX32[2])
        yield flat[at : at + rows], x.bitwise_right_shift_(8)


def splitmix(z: Tensor) -> Tensor:
    """The finaliser of splitmix64 (Steele et al. 2014), on int64."""
    z = (z ^ _shift(z, 30, 64)) * _MIX64[0]
    z = (z ^ _shift(z, 27, 64)) * _MIX64[1]
    return z ^ _shift(z, 31, 64)


def words(z: Tensor) -> tuple[Tensor, Tensor]:
    """The upper and the lower half of int64, int32 each."""
    return (z >> 32).to(torch.int32), z.to(torch.int32)


def _shift(x: Tensor, by: int, bits: int) -> Tensor:
    """Shift right without copies of the sign."""
    return (x >> by).bitwise_and_((1 << (bits - by)) - 1)
