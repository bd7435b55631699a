"""State-space models as products of small matrices, a chunk of time at a time.

Within a chunk of R steps the output is a Toeplitz matrix times the input; between chunks goes the
state, N numbers a channel. All products are over batches of channels, so that long sequences cost
the multiplications of a short convolution, run at the speed of matrix products.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spikescan.ops.ssm.system import Diagonal, LowRank, Matrices, finish, read

CHUNK = 64
"""Steps in a chunk. Fewer mean more states to carry, more mean a larger Toeplitz matrix."""


def ssm(
    x: Tensor,
    system: Diagonal | LowRank | Matrices,
    h0: Tensor | None,
    lengths: Tensor | None,
    skip: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Outputs (B, T, D) and, of a causal system, the state (B, D, N) after the last valid step."""
    batch, steps, channels = x.shape
    size = min(CHUNK, 1 << (steps - 1).bit_length())
    count = -(-steps // size)
    level = size.bit_length() - 1
    # Without a state before it, the first chunk is not advanced, which saves the highest power.
    squares = level + (count - 1).bit_length() + (h0 is not None)
    made = system.unroll(size, squares, x.dtype)
    columns = made.columns.to(x.dtype)
    within = toeplitz(
        read(system.c, made.columns).to(x.dtype),
        None if system.c_back is None else read(system.c_back, made.columns).to(x.dtype),
        skip,
    )
    u = F.pad(x.permute(2, 0, 1), (0, count * size - steps))
    u = u.reshape(channels, batch * count, size)
    spoilt = None
    if system.c_back is None:
        # In a product a NaN meets the zeros that stand for the past too. Keep it out, and let it
        # spoil what comes from its step on.
        spoilt = (u.detach() * 0).cumsum(-1)
        u = torch.nan_to_num(u, 0.0, 0.0, 0.0)
    y = torch.bmm(u, within)
    if spoilt is not None:
        y = y + spoilt

    def carry(columns: Tensor, start: Tensor | None, reverse: bool) -> Tensor:
        """States (D, B, count + 1, N) before each chunk and after the last."""
        z = torch.bmm(u, columns.mT)
        z = z if spoilt is None else z + spoilt[..., -1:]
        z = z.view(channels, batch, count, columns.shape[1])
        if reverse:
            z = z.flip(2)
        after = _scan(system, z, start, made.squares[level:])
        rest = z.new_zeros(channels, batch, z.shape[3]) if start is None else start
        return torch.cat((rest.unsqueeze(2), after), 2)

    h = None
    if system.c_back is None or count > 1:
        start = None if h0 is None else h0.transpose(0, 1)
        states = carry(columns.flip(-1), start, reverse=False)
        if count > 1 or h0 is not None:
            y = torch.baddbmm(y, states[:, :, :-1].flatten(1, 2), made.rows.mT.to(x.dtype))
        if system.c_back is None:
            h = _last(system, x, states, columns, lengths, made.squares[:level])
    if made.back is not None and count > 1:
        future = carry(columns, None, reverse=True)[:, :, :-1].flip(2)
        y = torch.baddbmm(y, future.flatten(1, 2), made.back.flip(1).mT.to(x.dtype))
    y = y.view(channels, batch, count * size)[:, :, :steps]
    return y.permute(1, 2, 0).contiguous(), h


def toeplitz(kernel: Tensor, back: Tensor | None, skip: Tensor | None) -> Tensor:
    """Matrix (D, R, R) that maps inputs (rows) to outputs (columns) of a chunk.

    Entry (j, i) is kernel (D, R) at i - j, back (D, R) at j - i - 1, and skip (D,) where i = j.
    """
    channels, size = kernel.shape
    if skip is not None:
        kernel = torch.cat((kernel[:, :1] + skip[:, None], kernel[:, 1:]), 1)
    before = kernel.new_zeros(channels, size - 1) if back is None else back[:, : size - 1].flip(1)
    # Entries along one period of 2 R, lag by lag: rows of a flat copy that is one shorter than the
    # period each start one lag lower.
    period = torch.cat((kernel, kernel.new_zeros(channels, 1), before), 1)
    flat = period.unsqueeze(1).expand(-1, size, -1).reshape(channels, -1)
    return flat[:, : size * (2 * size - 1)].view(channels, size, 2 * size - 1)[..., :size]


def _scan(
    system: Diagonal | LowRank | Matrices, z: Tensor, start: Tensor | None, powers: list[Tensor]
) -> Tensor:
    """States (D, B, Q, N) after each chunk, h_q = a h_{q-1} + z_q, in 2 log2(Q) products.

    Neighbours are joined into pairs, the pairs are scanned, and what lies between is filled in.
    """
    channels, _, count, size = z.shape

    def advance(h: Tensor, more: Tensor) -> Tensor:
        return system.apply(powers[0], h.reshape(channels, -1, size)).view(more.shape) + more

    if count == 1:
        return z if start is None else advance(start, z)
    even, odd = z[:, :, 0::2], z[:, :, 1::2]
    pairs = count // 2
    second = _scan(system, advance(even[:, :, :pairs], odd), start, powers[1:])
    if start is None:
        rest = second[:, :, : count - pairs - 1]
        first = torch.cat((even[:, :, :1], advance(rest, even[:, :, 1:])), 2)
    else:
        before = torch.cat((start.unsqueeze(2), second), 2)[:, :, : count - pairs]
        first = advance(before, even)
    joined = torch.stack((first[:, :, :pairs], second), 3).flatten(2, 3)
    return joined if count == 2 * pairs else torch.cat((joined, first[:, :, -1:]), 2)


def _last(
    system: Diagonal | LowRank | Matrices,
    x: Tensor,
    states: Tensor,
    columns: Tensor,
    lengths: Tensor | None,
    squares: list[Tensor],
) -> Tensor:
    """The state (B, D, N) of each row after its last valid step."""
    batch, steps, _ = x.shape
    size = columns.shape[2]
    if lengths is None:
        if steps % size == 0:
            return states[:, :, -1].transpose(0, 1)
        return finish(system, x, states[:, :, -2], None, columns, squares)
    before = states[:, torch.arange(batch, device=x.device), lengths // size]
    return finish(system, x, before, lengths, columns, squares)
