"""Bernoulli spikes: the compiled kernel against the same hash in torch operations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ops_support import uniform as numbers
from torch import Tensor

from spikescan.ops import bernoulli
from spikescan.ops._core.cpu import BUILT
from spikescan.ops._core.random import GOLDEN, splitmix, words
from spikescan.ops.bernoulli import fresh_keys
from spikescan.ops.bernoulli.reference import uniform

needs_kernel = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")


def inputs(
    batch: int, steps: int, channels: int, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(batch + steps + channels)
    return {
        "v": numbers(-0.2, 1.2, batch, steps, channels, seed=1).to(dtype),
        "key": fresh_keys(batch, 1, torch.device("cpu"), generator)[:, 0],
        "start": torch.arange(batch) * 1000,
    }


@needs_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("channels", [1, 16, 127, 128, 129, 300])
@pytest.mark.parametrize("steps", [0, 1, 67])
@pytest.mark.parametrize("batch", [1, 3])
def test_kernel_equals_reference(batch: int, steps: int, channels: int, dtype: torch.dtype) -> None:
    tensors = inputs(batch, steps, channels, dtype)
    for draws in (1, 3):
        expected = bernoulli(**tensors, draws=draws, impl="reference")
        got = bernoulli(**tensors, draws=draws, impl="cpu")
        assert got.dtype == expected.dtype == dtype
        assert torch.equal(got, expected)


@needs_kernel
def test_any_strides_and_keys() -> None:
    tensors = inputs(4, 50, 40)
    tensors["key"][0], tensors["start"][1] = -(2**62), 2**40
    for v in (tensors["v"].transpose(1, 2).contiguous().transpose(1, 2), tensors["v"][..., ::2]):
        assert not v.is_contiguous()
        some = tensors | {"v": v}
        assert torch.equal(bernoulli(**some, impl="cpu"), bernoulli(**some, impl="reference"))


@needs_kernel
@pytest.mark.parametrize("impl", ["cpu", "reference"])
def test_ties_never_fire_and_nan_stays(impl: Any) -> None:
    tensors = inputs(2, 30, 20)
    u = uniform(tensors["key"], tensors["start"], 30, 20)
    above = torch.nextafter(u, torch.tensor(2.0))
    for v, fires in ((u, 0.0), (above, 1.0)):
        assert bool((bernoulli(**tensors | {"v": v}, impl=impl) == fires).all())
    u[1, 3, 5] = torch.nan
    spikes = bernoulli(**tensors | {"v": u}, impl=impl)
    assert spikes[1, 3, 5].isnan()
    assert spikes.isnan().sum() == 1


@needs_kernel
def test_compiles() -> None:
    tensors = inputs(2, 30, 20)
    compiled = torch.compile(bernoulli, fullgraph=True, backend="aot_eager")
    v = tensors["v"].requires_grad_()
    s = compiled(**tensors)
    assert torch.equal(s, bernoulli(**tensors))
    (g,) = torch.autograd.grad(s.sum(), v)
    assert torch.equal(g, ((v >= 0) & (v <= 1)).float())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"v": torch.ones(2, 3)}, ValueError, r"v must have shape \(B, T, D\), got \(2, 3\)"),
        ({"key": torch.ones(3, dtype=torch.int64)}, ValueError, r"key must be int64 of shape \(2,"),
        ({"start": torch.ones(2)}, ValueError, r"start must be int64 of shape \(2,\).*float32"),
        ({"draws": 0}, ValueError, "draws must be at least 1, got 0"),
        ({"impl": "fast"}, ValueError, "impl must be 'auto' or one of"),
    ],
)
def test_errors_name_the_argument(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        bernoulli(**inputs(2, 3, 4) | change)


def near(words: Tensor, count: int) -> Tensor:
    """The pairs of channels whose words (D,) differ in the fewest bits, (count, 2)."""
    bits = (words[:, None] >> torch.arange(32)) & 1
    same = 2 * bits.float() - 1
    alike = (same @ same.mT).triu(1)
    found = alike.flatten().topk(count).indices
    return torch.stack((found // len(words), found % len(words)), 1)


@needs_kernel
def test_channels_of_similar_salts_fire_independently() -> None:
    """Channels 844 and 2743 fired together at 0.035 of the due rate where p was 0.01.

    Coupled are, if any, channels whose constants differ in few bits, so these are the pairs to
    watch; each half of a constant enters the hash on its own.
    """
    channels, steps, chunk, p = 2816, 1 << 18, 1 << 13, 0.01
    low, high = words(splitmix(torch.arange(1, channels + 1) * GOLDEN))[::-1]
    pairs = torch.cat((near(low, 200), near(high, 200), torch.tensor([[844, 2743]])))
    watched = pairs.unique()
    first, second = torch.searchsorted(watched, pairs).unbind(1)
    together, alone = torch.zeros(len(pairs)), torch.zeros(len(watched))
    v, key = torch.full((1, 1, 1), p).expand(1, chunk, channels), torch.tensor([77])
    for start in range(0, steps, chunk):
        s = bernoulli(v, key, torch.tensor([start]))[0, :, watched]
        together += (s[:, first] * s[:, second]).sum(0)
        alone += s.sum(0)
    # Binomial: 26 of a pair and 2621 of a channel, 4.5 and 5 deviations away at most.
    for counts, rate in ((together, p * p), (alone, p)):
        off = (counts - steps * rate) / (steps * rate * (1 - rate)) ** 0.5
        assert float(off.min()) > -4.5
        assert float(off.max()) < 5
        assert abs(float(off.std()) - 1) < 0.15


def test_channels_are_uncorrelated_and_uniform() -> None:
    """All pairs of two thousand channels at once: their correlations are those of chance."""
    steps, channels = 2048, 2048
    u = uniform(torch.tensor([7]), torch.tensor([0]), steps, channels)[0]
    centred = (u - 0.5) * 12**0.5
    r = (centred.mT @ centred)[torch.triu_indices(channels, channels, 1).unbind()] / steps**0.5
    assert float(r.abs().max()) < 6.5  # of two million: 5.2 is due
    assert abs(float(r.std()) - 1) < 0.005
    counts = torch.histc(u, 256, 0, 1)
    due = u.numel() / 256
    assert float(((counts - due) ** 2 / due).sum()) < 256 + 5 * 512**0.5
