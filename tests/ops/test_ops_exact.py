"""No spike differs from the loop in float32, counted over more than ten million of them.

A contracted multiply-add changes about one spike in twenty thousand, and each one all that follow
in its channel: smaller counts would not see it.
"""

from __future__ import annotations

import pytest
import torch

from spikescan.ops import lif
from spikescan.ops.lif import reference
from spikescan.ops.surrogate import ATan
from support import seeded

DECAYS = (0.9, 0.99, 0.999, 0.9999)


def count(reset: str, batch: int, steps: int, lanes: int, seed: int) -> tuple[int, int]:
    """Spikes of the kernel run at once, and how many differ from the loop's, over all decays."""
    beta = torch.tensor(DECAYS).repeat_interleave(lanes)
    x = torch.randn(batch, steps, len(beta), generator=seeded(seed))
    x.mul_(0.7).add_(0.45)
    kernel = lif(x, beta, reset=reset, impl="cpu")
    rates = kernel.spikes.mean((0, 1)).view(len(DECAYS), lanes)
    assert 0.2 < rates.min() < rates.max() < 0.7
    fired = differing = 0
    v = torch.zeros(batch, len(beta))
    # The loop goes in pieces with its state carried over: whole, its lists would fill the memory.
    for start in range(0, steps, 1024):
        piece = slice(start, start + 1024)
        spikes, _, v = reference.lif(x[:, piece], beta, v, None, 1.0, reset, 0.0, True, ATan())
        fired += int(spikes.sum())
        differing += int((spikes != kernel.spikes[:, piece]).sum())
    assert torch.equal(kernel.state.v, v)
    return fired, differing


@torch.no_grad()
def test_no_spike_differs(capsys: pytest.CaptureFixture[str]) -> None:
    counts = [
        count("soft", 4, 8192, 64, seed=0),
        count("hard", 4, 8192, 64, seed=1),
        count("soft", 8, 1024, 200, seed=2),
        count("hard", 8, 1024, 200, seed=3),
    ]
    total, differing = (sum(column) for column in zip(*counts, strict=True))
    with capsys.disabled():
        print(f"\nLIF: {differing} of {total:,} spikes differ from the float32 loop")
    assert total >= 10_000_000
    assert differing == 0


@pytest.mark.slow
@torch.no_grad()
def test_no_spike_differs_in_a_hundred_million(capsys: pytest.CaptureFixture[str]) -> None:
    counts = [
        count(reset, 4, 32768, 128, seed=seed)
        for reset in ("soft", "hard")
        for seed in range(10, 13)
    ]
    total, differing = (sum(column) for column in zip(*counts, strict=True))
    with capsys.disabled():
        print(f"\nLIF: {differing} of {total:,} spikes differ from the float32 loop")
    assert total >= 100_000_000
    assert differing == 0
