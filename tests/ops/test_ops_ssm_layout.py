"""Sequences as channels and back: the compiled kernel against torch's own transposition."""

from __future__ import annotations

import pytest
import torch
from ops_support import normal
from torch import Tensor
from torch.nn import functional as F

from spikescan.ops._core.cpu import BUILT
from spikescan.ops.ssm import layout

pytestmark = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")


def first(x: Tensor, padded: int) -> Tensor:
    return F.pad(x.permute(2, 0, 1), (0, padded - x.shape[1]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("channels", [1, 15, 16, 33])
@pytest.mark.parametrize(("steps", "padded"), [(1, 1), (1, 64), (63, 64), (64, 64), (65, 256)])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_there_and_back(
    batch: int, steps: int, padded: int, channels: int, dtype: torch.dtype
) -> None:
    x = normal(batch, steps, channels, seed=0, dtype=dtype).requires_grad_()
    y, expected = layout.channels_first(x, padded), first(x, padded)
    assert y.shape == (channels, batch, padded)
    assert torch.equal(y, expected)
    assert torch.equal(layout.channels_last(y, steps), x)
    g = normal(channels, batch, padded, seed=1, dtype=dtype)
    for made in (y, expected):
        (gx,) = torch.autograd.grad(made, x, g)
        assert torch.equal(gx, g[:, :, :steps].permute(1, 2, 0))
    z = g.requires_grad_()
    for back in (layout.channels_last(z, steps), z[:, :, :steps].permute(1, 2, 0)):
        assert torch.equal(back, z[:, :, :steps].permute(1, 2, 0))
        (gz,) = torch.autograd.grad(back, z, x.detach())
        assert torch.equal(gz, first(x, padded))


def test_any_strides() -> None:
    x = normal(3, 40, 70, seed=0).transpose(0, 1)[:, :, ::3]
    assert torch.equal(layout.channels_first(x, 64)[:, :, :3], x.permute(2, 0, 1))
    y = normal(8, 9, 10, seed=1).transpose(0, 2)
    assert torch.equal(layout.channels_last(y, 5), y[:, :, :5].permute(1, 2, 0))
