r"""Bernoulli spikes whose random numbers belong to a row, a step and a channel.

A generator that hands out numbers in the order of the calls would give a sequence other spikes in
chunks than in one piece. Here the uniform number of an element is a hash of the row's key, the
step and the channel: the same whatever the layout, the batch, the chunks and the device.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from spikescan.ops._core import random, validate
from spikescan.ops._core.standin import stand_in
from spikescan.ops.bernoulli import cpu, reference
from spikescan.ops.bernoulli.contract import Forward


def fresh_keys(
    batch: int,
    count: int,
    device: torch.device,
    generator: torch.Generator | Tensor | None = None,
) -> Tensor:
    """Random keys (batch, count) int64; a row takes the next ``count`` numbers of the generator.

    Args:
        batch: number of rows.
        count: number of keys a row.
        device: where the keys are put.
        generator: what to draw from, None is torch's own for the device; or the keys themselves.

    Raises:
        ValueError: the keys are not (batch, count) int64.
    """
    if isinstance(generator, Tensor):
        if generator.shape != (batch, count) or generator.dtype != torch.int64:
            raise ValueError(
                f"keys must be int64 of shape ({batch}, {count}), got {generator.dtype} of shape "
                f"{tuple(generator.shape)}"
            )
        return generator
    source = device if generator is None else generator.device
    # randint has no room for all of int64; the highest bit is no loss.
    keys = torch.randint(2**63 - 1, (batch, count), generator=generator, device=source)
    return keys.to(device)


def split_keys(keys: Tensor, count: int) -> Tensor:
    """Keys (B, count, n), hashes of ``keys`` (B, n): of rows whose parts draw independently.

    >>> split_keys(torch.tensor([[1], [2]]), 3).unique().numel()
    6
    """
    return random.split_key(keys.unsqueeze(1), torch.arange(count, device=keys.device)[:, None])


def require_streams(key: Tensor, start: Tensor, v: Tensor) -> None:
    """Refuse keys and numbers of first steps that are not (B,) int64.

    Raises:
        ValueError: names the first of both that is not.
    """
    for name, value in (("key", key), ("start", start)):
        validate.tensor(name, value, v)
        if value.shape != v.shape[:1] or value.dtype != torch.int64:
            raise ValueError(
                f"{name} must be int64 of shape ({v.shape[0]},), got {value.dtype} of shape "
                f"{tuple(value.shape)}"
            )


def bernoulli(
    v: Tensor,
    key: Tensor,
    start: Tensor,
    *,
    draws: int = 1,
    impl: Literal["auto", "reference", "cpu"] = "auto",
) -> Tensor:
    r"""Spikes of probability :math:`p = \operatorname{clamp}(v, 0, 1)`, or means of several draws.

    .. math:: s = [U < p], \qquad \partial s / \partial v := [0 \le v \le 1]

    The gradient is that of the clamp, as :math:`E[s] = p`; at both ends it is 1, as torch's.

    Args:
        v: (B, T, D), float32, float64, bfloat16 or float16; differentiable. Any strides.
        key: (B,) int64, key of each row.
        start: (B,) int64, number of the first step of each row.
        draws: number of independent draws to average.
        impl: "cpu" is the compiled kernel, "reference" plain torch, of the same spikes; "auto" as
            in :func:`spikescan.ops.lif`.

    Returns:
        (B, T, D) in the dtype of ``v``; 0 or 1 for one draw. NaN stays NaN.

    Raises:
        ValueError: a shape or an option does not fit.
        TypeError: a dtype is not supported.

    >>> p = torch.tensor([[[0.0, 1.0]]])
    >>> bernoulli(p, key=torch.tensor([7]), start=torch.tensor([0]))
    tensor([[[0., 1.]]])
    """
    validate.sequence("v", v)
    require_streams(key, start, v)
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    run = validate.choose(impl, v, ("reference", "cpu"))

    def fire(p: Tensor, key: Tensor, start: Tensor) -> Tensor:
        if run == "cpu":
            return cpu.forward(Forward(v=p, key=key, start=start))
        return reference.bernoulli(p, key, start)

    def mean(v: Tensor, key: Tensor, start: Tensor) -> Tensor:
        p = v.to(validate.accumulator(v.dtype))
        total = fire(p, key, start)
        for draw in range(1, draws):
            total = total + fire(p, random.other_key(key, draw), start)
        return (total if draws == 1 else total / draws).to(v.dtype)

    return stand_in(v, mean, _clamped, key, start)


def _clamped(g: Tensor, v: Tensor) -> Tensor:
    """g where v is in the clamp, ends included."""
    # The kernel of hardtanh's gradient is one pass where a mask takes five. Its interval is open:
    # these are the floats next to both ends.
    info = torch.finfo(v.dtype)
    return torch.ops.aten.hardtanh_backward(g, v, -info.smallest_normal, 1 + info.eps)
