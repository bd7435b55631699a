"""State-space models on the compiled CPU kernels, which are torch operators.

In the kernel a chunk of time is a small matrix product for each channel, with channels side by
side: it reads and writes sequences (B, T, D) as they are, and carries the state in registers.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.pair import pair
from spikescan.ops.ssm import contract
from spikescan.ops.ssm.contract import Backward, Forward
from spikescan.ops.ssm.system import Diagonal, LowRank, Matrices, finish, lanes, read


def ssm(
    x: Tensor,
    system: Diagonal | LowRank | Matrices,
    h0: Tensor | None,
    lengths: Tensor | None,
    skip: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Outputs (B, T, D) and, of a causal system, the state (B, D, N) after the last valid step.

    Without ``lengths`` in a two-sided system: what is not valid must be zero in x.
    """
    if "torch.utils.flop_counter" in sys.modules and not torch.compiler.is_compiling():
        from spikescan.ops import flops as flops  # counts products
    dense = not isinstance(system, Diagonal)
    states = 2 * system.b.shape[1] if system.b.is_complex() else system.b.shape[1]
    chunk = _chunk(states, dense)
    level = chunk.bit_length() - 1
    made = system.unroll(chunk, level + 1, torch.float64)
    power = made.squares[level]
    if dense:
        change = power - torch.eye(states, dtype=power.dtype, device=power.device)
    else:
        change = lanes(power - 1)
    taps = read(system.c, made.columns)
    if skip is not None:
        taps = torch.cat((taps[:, :1] + skip[:, None], taps[:, 1:]), 1)
    causal = system.c_back is None

    def run(taps: Tensor, rows: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
        y, h, _ = forward(
            Forward(
                x=x,
                weights=pack(taps, made.columns.mT.flip(1), rows, change, x.dtype),
                h0=h0,
                lengths=lengths if causal else None,
                states=states,
                chunk=chunk,
                dense=dense,
                reverse=reverse,
            )
        )
        return y, h

    y, h = run(taps, made.rows, False)
    if system.c_back is None or made.back is None:
        if lengths is not None or x.shape[1] % chunk:
            h = finish(system, x, h.transpose(0, 1), lengths, made.columns, made.squares[:level])
        return y, h
    # Backwards in time, where a step is not told its own input.
    later = read(system.c_back, made.columns)
    later = torch.cat((torch.zeros_like(later[:, :1]), later[:, :-1]), 1)
    return y + run(later, made.back, True)[0], None


def _chunk(states: int, dense: bool) -> int:
    """Steps in a chunk: as many as make few operations of what its size enters twice, the taps,
    a quarter of a chunk a step, and the power of the state matrix, once a chunk."""
    return 16 if not dense or states <= 24 else 32 if states <= 48 else 64


def pack(taps: Tensor, columns: Tensor, rows: Tensor, change: Tensor, dtype: torch.dtype) -> Tensor:
    """What a kernel multiplies with, a block of channels side by side: (blocks, K, LINE).

    Args:
        taps: response to an impulse (D, R).
        columns: what each input of a chunk adds to the state after it (D, R, N).
        rows: what the state before a chunk adds to each output (D, R, N).
        change: what a chunk makes of the state before it, less that state: a factor of each mode
            (D, N), or a matrix (D, N, N) from the left state to the right one.
        dtype: of the result.
    """
    held = native.constants("ssm", dtype)
    more = -change.shape[-1] % held["TILE"]
    columns, rows = (F.pad(t, (0, more)) for t in (columns, rows))
    change = F.pad(change, (0, more, 0, more) if change.ndim == 3 else (0, more))
    every = torch.cat([t.flatten(1) for t in (taps, columns, rows, change)], 1).to(dtype)
    line = held["LINE"]
    every = F.pad(every, (0, 0, 0, -every.shape[0] % line))
    return every.unflatten(0, (-1, line)).mT.contiguous()


def _sizes(given: Forward | Backward) -> dict[str, Any]:
    """The fields of the C struct that say how large things are, and the room to work in."""
    held = native.constants("ssm", given.x.dtype)
    r, n = given.chunk, -(-given.states // held["TILE"]) * held["TILE"]
    groups = min(given.x.shape[0], contract.GROUPS)
    tasks, room = groups * given.weights.shape[0], held["CHUNKS"] * (2 * r + 3 * n) + 2 * n
    return {
        "N": n,
        "chunk": r,
        "groups": groups,
        "room": native.fresh((tasks, room, held["LINE"]), given.x),
        "states": given.states,
        "dense": given.dense,
        "reverse": given.reverse,
        **native.sizes(given.x),
    }


def _outputs(given: Forward, empty: native.Empty) -> tuple[Tensor, ...]:
    return contract.outputs(given, native.constants("ssm", given.x.dtype), empty)


def _forward(given: Forward) -> tuple[Tensor, ...]:
    y, h, checkpoints = results = _outputs(given, native.fresh)
    native.run(
        "ssm_forward", given.x.dtype,
        x=given.x, weights=given.weights, h0=given.h0, lengths=given.lengths,
        y=y, h=h, checkpoints=checkpoints, save=given.save, **_sizes(given),
    )  # fmt: skip
    return results


def _backward(given: Backward) -> tuple[Tensor, ...]:
    gx, gweights, gh0 = results = contract.gradient_outputs(given, native.fresh)
    native.run(
        "ssm_backward", given.x.dtype,
        x=given.x, weights=given.weights, checkpoints=given.checkpoints, lengths=given.lengths,
        gy=given.gy, gh=given.gh, gx=gx, gweights=gweights, gh0=gh0,
        want_gweights=given.want_gweights, **_sizes(given),
    )  # fmt: skip
    return results


forward, backward = pair(
    "ssm_{}", contract, forward=_forward, backward=_backward, results=(3, 3),
    fake=lambda given: _outputs(given, native.fake), empty=native.fake,
)  # fmt: skip
