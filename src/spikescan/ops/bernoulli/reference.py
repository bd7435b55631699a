"""The random numbers and their spikes in torch operations: the oracle of all tests."""

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


_GOLDEN = _signed(0x9E3779B97F4A7C15, 64)
_MIX64 = (_signed(0xBF58476D1CE4E5B9, 64), _signed(0x94D049BB133111EB, 64))
_MIX32 = tuple(_signed(c, 32) for c in (0xED5AD4BB, 0xAC4C1B51, 0x31848BAB))


def bernoulli(v: Tensor, key: Tensor, start: Tensor) -> Tensor:
    """[U < v] (B, T, D), at least float32, NaN where v is.

    U is below one: the clamp needs no pass of its own.
    """
    spikes = uniform(key, start, *v.shape[1:]) < v
    return torch.where(v.isnan(), v, spikes.to(v.dtype))


def uniform(key: Tensor, start: Tensor, steps: int, channels: int) -> Tensor:
    """The uniform numbers U in [0, 1), (B, T, D) float32."""
    out = torch.empty(key.shape[0], steps, channels, device=key.device)
    for block, x in _blocks(key, start, steps, out):
        torch.mul(x, 2.0**-24, out=block).add_(0.5)
    return out


def other_key(key: Tensor, draw: int) -> Tensor:
    """Keys (B,) for one of several independent draws; the first has the key itself."""
    return _splitmix(key + _signed(draw * _GOLDEN, 64)) if draw else key


def split_key(key: Tensor, part: Tensor) -> Tensor:
    """Keys of numbered parts of what a key belongs to; none is the key of a draw or a step."""
    return _splitmix(_splitmix(key) + part * _GOLDEN)


def _blocks(key: Tensor, start: Tensor, steps: int, out: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of a block of ``out`` as (rows, D) and random integers in [-2^23, 2^23) for it."""
    channels = out.shape[2]
    time = start[:, None] + torch.arange(1, steps + 1, device=key.device)
    high, low = _words(_splitmix(key[:, None] + time * _GOLDEN).flatten()[:, None])
    lane = torch.arange(1, channels + 1, device=key.device) * _GOLDEN
    more, salt = _words(_splitmix(lane))
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


def _splitmix(z: Tensor) -> Tensor:
    """The finaliser of splitmix64 (Steele et al. 2014), on int64."""
    z = (z ^ _shift(z, 30, 64)) * _MIX64[0]
    z = (z ^ _shift(z, 27, 64)) * _MIX64[1]
    return z ^ _shift(z, 31, 64)


def _words(z: Tensor) -> tuple[Tensor, Tensor]:
    """The upper and the lower half of int64, int32 each."""
    return (z >> 32).to(torch.int32), z.to(torch.int32)


def _shift(x: Tensor, by: int, bits: int) -> Tensor:
    """Shift right without copies of the sign."""
    return (x >> by).bitwise_and_((1 << (bits - by)) - 1)
