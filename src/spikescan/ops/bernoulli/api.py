r"""Bernoulli spikes whose random numbers belong to a row, a step and a channel.

A generator that hands out numbers in the order of the calls would give a sequence other spikes in
chunks than in one piece. Here the uniform number of an element is a hash of the row's key, the
step and the channel: the same whatever the layout, the batch, the chunks and the device.
"""

from __future__ import annotations

from typing import Any

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
_MIX32 = (0x7FEB352D, _signed(0x846CA68B, 32))


def fresh_keys(
    batch: int, count: int, device: torch.device, generator: torch.Generator | None = None
) -> Tensor:
    """Random keys (batch, count) int64; a row takes the next ``count`` numbers of the generator.

    Args:
        batch: number of rows.
        count: number of keys a row.
        device: where the keys are put.
        generator: what to draw from; None is torch's own for the device.
    """
    source = device if generator is None else generator.device
    # randint has no room for all of int64; the highest bit is no loss.
    keys = torch.randint(2**63 - 1, (batch, count), generator=generator, device=source)
    return keys.to(device)


def bernoulli(v: Tensor, key: Tensor, start: Tensor, *, draws: int = 1) -> Tensor:
    r"""Spikes of probability :math:`p = \operatorname{clamp}(v, 0, 1)`, or means of several draws.

    .. math:: s = [U < p], \qquad \partial s / \partial v := [0 \le v \le 1]

    The gradient is that of the clamp, as :math:`E[s] = p`; at both ends it is 1, as torch's.

    Args:
        v: (B, T, D), float32, float64, bfloat16 or float16; differentiable.
        key: (B,) int64, key of each row.
        start: (B,) int64, number of the first step of each row.
        draws: number of independent draws to average.

    Returns:
        (B, T, D) in the dtype of ``v``; 0 or 1 for one draw. NaN never fires.
    """
    return _Bernoulli.apply(v, key, start, draws)  # type: ignore[no-any-return]


class _Bernoulli(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, key: Tensor, start: Tensor, draws: int) -> Tensor:
        ctx.save_for_backward(v)
        total: Tensor | None = None
        for draw in range(draws):
            fired = _compare(
                v, _splitmix(key + _signed(draw * _GOLDEN, 64)) if draw else key, start
            )
            total = fired if total is None else total.add_(fired)
        assert total is not None
        return (total if draws == 1 else total.div_(draws)).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (v,) = ctx.saved_tensors
        # The kernel of hardtanh's gradient is one pass where a mask takes five. Its interval is
        # open: these are the floats next to both ends.
        info = torch.finfo(v.dtype)
        low, high = -info.smallest_normal, 1 + info.eps
        return torch.ops.aten.hardtanh_backward(grads[0], v, low, high), None, None, None


def uniform(key: Tensor, start: Tensor, steps: int, channels: int) -> Tensor:
    """The uniform numbers in [0, 1) behind :func:`bernoulli`, (B, T, D) float32."""
    out = torch.empty(key.shape[0], steps, channels, device=key.device)
    for block, x in _blocks(key, start, steps, out):
        torch.mul(x, 2.0**-24, out=block).add_(0.5)
    return out


def _compare(v: Tensor, key: Tensor, start: Tensor) -> Tensor:
    """[U < v] as float32. U is below one, so that the clamp needs no pass of its own."""
    batch, steps, channels = v.shape
    out = torch.empty(batch, steps, channels, device=v.device)
    rows = v.reshape(batch * steps, channels)
    at = 0
    for block, x in _blocks(key, start, steps, out):
        torch.mul(x, 2.0**-24, out=block).add_(0.5).lt_(rows[at : at + block.shape[0]])
        at += block.shape[0]
    return out


def _blocks(key: Tensor, start: Tensor, steps: int, out: Tensor) -> Any:
    """Pairs of a block of ``out`` as (rows, D) and random integers in [-2^23, 2^23) for it."""
    channels = out.shape[2]
    time = start[:, None] + torch.arange(1, steps + 1, device=key.device)
    high, low = _words(_splitmix(key[:, None] + time * _GOLDEN).flatten()[:, None])
    lane = torch.arange(1, channels + 1, device=key.device) * _GOLDEN
    _, salt = _words(_splitmix(lane))
    flat = out.view(-1, channels)
    rows = max(1, _BLOCK // channels)
    if torch.compiler.is_compiling():
        rows = max(1, flat.shape[0])
    for at in range(0, flat.shape[0], rows):
        # Two rounds of multiply and shift, with 32 fresh bits of the step before each.
        x = (low[at : at + rows] ^ salt).mul_(_MIX32[0])
        x.bitwise_xor_(_shift(x, 15, 32)).add_(high[at : at + rows]).mul_(_MIX32[1])
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
