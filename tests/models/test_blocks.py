"""Blocks: their equations, shapes and errors, images over time; and the adaptive neuron.

Whole = chunks = steps for blocks (B, T, D) is in the contract; here it is at the seams of what they
compute in parallel, and for images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from spikescan import ALIF, LIF, PRF, ALIFState, SlidingPSN, Spatial, SpikeSampler
from spikescan.models import (
    SDTCM,
    Backbone,
    Classifier,
    GRUBlock,
    GRUBlockState,
    SpikingConv,
    SpikingTransformer,
    TransformerBlock,
    TransformerBlockState,
)
from spikescan.models.blocks.spiking_transformer import causal_sums
from spikescan.ops.surrogate import ATan
from support import draw, leaves
from tolerance import ELEMENT, SUMMED, assert_close

# A low threshold: narrow layers of few steps would else hold neurons that never fire.
FAST = partial(PRF, dt_min=0.1, dt_max=1.0, theta_max=3.0, threshold=0.3)
BLOCKS: dict[str, Callable[[int], nn.Module]] = {
    "SpikingTransformer": partial(SpikingTransformer, neuron=FAST, heads=2, norm="layer", piece=8),
    "GRUBlock": GRUBlock,
    "TransformerBlock": partial(TransformerBlock, heads=2, window=8),
}
by_block = pytest.mark.parametrize("name", BLOCKS)
D = 8


def run(module: nn.Module, x: Tensor, cuts: Sequence[int] | None) -> list[Tensor]:
    """Output, final state and gradients of one run, in pieces of these sizes or step by step."""
    x = x.clone().requires_grad_()
    state, outputs = None, []
    if cuts is None:
        for x_t in x.unbind(1):
            out, state = module.step(x_t, state)
            outputs.append(out.unsqueeze(1))
    else:
        for piece in x.split(list(cuts), 1):
            out, state = module(piece, state)
            outputs.append(out)
    out = torch.cat(outputs, 1)
    loss = (out * draw(*out.shape, seed=2, dtype=out.dtype)).sum()
    for i, leaf in enumerate(leaves(state)):
        loss = loss + (leaf * draw(*leaf.shape, seed=3 + i, dtype=out.dtype)).sum()
    wanted = [x, *(p for p in module.parameters() if p.requires_grad)]
    found = torch.autograd.grad(loss, wanted, allow_unused=True)
    return [out, *leaves(state), *(torch.zeros(()) if g is None else g for g in found)]


def assert_cuts_do_not_matter(
    module: nn.Module, x: Tensor, cuts: Sequence[Sequence[int] | None]
) -> None:
    whole = run(module, x, [x.shape[1]])
    for cut in cuts:
        for got, expected in zip(run(module, x, cut), whole, strict=True):
            assert_close(got, expected, SUMMED, f"cut {cut}")


@by_block
@pytest.mark.parametrize("steps", [1, 7, 8, 9, 24, 25])
def test_seams_do_not_matter(name: str, steps: int) -> None:
    torch.manual_seed(0)
    module = BLOCKS[name](D).double()
    x = draw(2, steps, D, dtype=torch.float64)
    cuts = [c for c in ([8, 0, steps - 8], [1, steps - 1]) if min(c) >= 0]
    assert_cuts_do_not_matter(module, x, [*cuts, None])


@by_block
def test_lengths_end_a_row_and_zero_steps_leave_its_state(name: str) -> None:
    torch.manual_seed(0)
    module = BLOCKS[name](D).eval()
    x, lengths = draw(3, 20, D), torch.tensor([20, 9, 0])
    x[torch.arange(20) >= lengths[:, None]] = torch.nan
    _, start = module(draw(3, 5, D, seed=5))
    out, state = module(x, start, lengths=lengths)
    for row, n in enumerate(lengths.tolist()):
        own = pytree.tree_map(lambda leaf, row=row: leaf[row : row + 1], start)
        alone, expected = module(x[row : row + 1, :n], own)
        assert_close(out[row : row + 1, :n], alone, ELEMENT, f"row {row}")
        for got, due in zip(leaves(state), leaves(expected), strict=True):
            assert_close(got[row : row + 1], due, ELEMENT, f"state of row {row}")


@by_block
def test_blocks_in_a_network_learn_and_ignore_padding(name: str) -> None:
    lengths = torch.tensor([20, 9, 1])
    seen = []
    for padding in (0.0, torch.nan):
        torch.manual_seed(0)
        model = Classifier(BLOCKS[name], inputs=2, classes=3, features=D, depth=2)
        x = torch.where((torch.arange(20) < lengths[:, None])[..., None], draw(3, 20, 2), padding)
        logits, _ = model(x, lengths=lengths)
        logits.square().sum().backward()
        seen.append([logits, *[p.grad for p in model.parameters()]])
    for zero, nan in zip(*seen, strict=True):
        assert zero is not None
        assert zero.any()
        assert torch.equal(zero, nan)


@by_block
@pytest.mark.parametrize(("batch", "steps"), [(0, 5), (2, 0), (0, 0)])
def test_nothing_gives_nothing(name: str, batch: int, steps: int) -> None:
    module = BLOCKS[name](D).eval()
    out, state = module(draw(batch, steps, D))
    assert out.shape == (batch, steps, D)
    assert not any(leaf.any() for leaf in leaves(state))


@pytest.mark.parametrize("piece", [1, 5, 64])
def test_attention_is_the_recurrence(piece: int) -> None:
    q, k, v = (draw(2, 3, 23, 4, seed=i, dtype=torch.float64).requires_grad_() for i in range(3))
    memory = draw(2, 3, 4, 4, seed=4, dtype=torch.float64).requires_grad_()
    out, last = causal_sums(q, k, v, memory, piece)
    m, due = memory, []
    for t in range(23):
        m = m + k[:, :, t, :, None] * v[:, :, t, None, :]
        due.append((q[:, :, t, None, :] @ m).squeeze(-2))
    expected = torch.stack(due, 2)
    assert_close(out, expected, ELEMENT)
    assert_close(last, m, ELEMENT)
    g, h = draw(*out.shape, seed=8, dtype=out.dtype), draw(*m.shape, seed=9, dtype=out.dtype)
    inputs = (q, k, v, memory)
    got = torch.autograd.grad((out * g).sum() + (last * h).sum(), inputs)
    due = torch.autograd.grad((expected * g).sum() + (m * h).sum(), inputs)
    for a, b in zip(got, due, strict=True):
        assert_close(a, b, ELEMENT)


def test_attention_between_spikes_is_exact_however_it_is_cut() -> None:
    q, k, v = ((draw(2, 3, 200, 4, seed=i) > 0).float() for i in range(3))
    rest = torch.zeros(2, 3, 4, 4)
    expected, last = causal_sums(q, k, v, rest, 200)
    for piece in (1, 7, 64):
        out, memory = causal_sums(q, k, v, rest, piece)
        assert torch.equal(out, expected)
        assert torch.equal(memory, last)
    assert torch.equal(last, k.mT @ v)


@pytest.mark.parametrize(
    "neuron", [LIF, FAST, ALIF, SlidingPSN, Spatial, SpikeSampler], ids=lambda n: str(n)[-30:]
)
def test_transformer_and_convolution_take_any_neuron(neuron: Callable[[int], Any]) -> None:
    torch.manual_seed(0)
    block = SpikingTransformer(D, neuron=neuron, heads=2)
    out, state = block(draw(2, 30, D))
    again, _ = block(draw(2, 5, D, seed=2), state)
    assert (out.shape, again.shape) == ((2, 30, D), (2, 5, D))
    assert state.memory.any()
    spikes, _ = SpikingConv(1, 4, neuron=neuron)(draw(2, 10, 1, 5, 5))
    assert 0 < spikes.mean() < 1


def test_transformer_state_keeps_its_size_and_autocast_keeps_sums_whole() -> None:
    torch.manual_seed(0)
    block = SpikingTransformer(D, neuron=Spatial, heads=2)
    _, short = block(draw(2, 10, D))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, long = block(draw(2, 3000, D))
    assert out.isfinite().all()
    assert short.memory.shape == long.memory.shape == (2, 2, 4, 4)
    assert long.memory.dtype == torch.float32
    # bfloat16 has no odd whole numbers above 256.
    assert long.memory.max() > 256
    assert bool((long.memory % 2).any())
    assert long.steps.tolist() == [3000, 3000]


@pytest.mark.parametrize("window", [3, 40])
def test_transformer_baseline_sees_exactly_its_window(window: int) -> None:
    torch.manual_seed(0)
    block = TransformerBlock(D, heads=2, window=window).double()
    x = draw(1, 20, D, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(block(x)[0][:, 12].sum(), x)
    reached = gradient.abs().sum(-1).squeeze(0).nonzero().flatten().tolist()
    assert reached == list(range(max(0, 12 - window), 13))


def test_transformer_baseline_is_plain_attention_within_its_window() -> None:
    torch.manual_seed(0)
    block = TransformerBlock(D, heads=1, window=30).double()
    x = draw(2, 20, D, dtype=torch.float64)
    q, k, v = block.project(F.layer_norm(x, (D,))).chunk(3, -1)
    rates = 10_000.0 ** (-torch.arange(D // 2, dtype=torch.float64) / (D // 2))
    turn = torch.exp(1j * torch.arange(20)[:, None] * rates)
    q, k = (torch.complex(*z.chunk(2, -1)) * turn for z in (q, k))
    scores = (q @ k.mH).real / D**0.5
    scores = scores.masked_fill(torch.ones(20, 20).triu(1).bool(), -torch.inf)
    y = x + block.join(scores.softmax(-1) @ v)
    due = y + block.narrow(F.gelu(block.widen(F.layer_norm(y, (D,)))))
    assert_close(block(x)[0], due, ELEMENT)


def test_gru_baseline_is_that_of_torch() -> None:
    torch.manual_seed(0)
    block = GRUBlock(D, norm="none")
    peer = nn.GRU(D, D, batch_first=True)
    block.gru.load_state_dict(peer.state_dict())
    x, h = draw(3, 20, D), draw(3, D, seed=2)
    hidden, last = peer(x, h.unsqueeze(0))
    out, state = block(x, GRUBlockState(h))
    assert_close(out, x + block.linear(hidden), ELEMENT)
    assert_close(state.h, last.squeeze(0), ELEMENT)


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_convolution_cuts_do_not_matter(norm: Any) -> None:
    torch.manual_seed(0)
    layer = SpikingConv(2, 4, neuron=FAST, stride=2, norm=norm).double().eval()
    x = 3 * draw(2, 11, 2, 6, 5, dtype=torch.float64)
    assert_cuts_do_not_matter(layer, x, [[5, 6], [1, 0, 10], None])


def test_convolution_gives_each_pixel_the_neurons_of_its_channel() -> None:
    torch.manual_seed(0)
    layer = SpikingConv(2, 4, neuron=FAST, norm="none", padding=0)
    x = 3 * draw(2, 15, 2, 6, 5)
    spikes, state = layer(x)
    assert spikes.shape == (2, 15, 4, 4, 3)
    assert state is not None
    assert state.neuron.u.shape == (2 * 4 * 3, 4)
    current = torch.stack([layer.conv(x[:, t]) for t in range(15)], 1)
    pixel, alone = layer.neuron(current[1:, :, :, 2, 1])
    assert 0 < pixel.mean() < 1
    assert torch.equal(spikes[1:, :, :, 2, 1], pixel)
    assert torch.equal(state.neuron.u[1 * 12 + 2 * 3 + 1], alone.u[0])


@pytest.mark.parametrize("training", [True, False])
def test_convolution_ignores_padding(training: bool) -> None:
    lengths = torch.tensor([12, 7, 1])
    clean = 3 * draw(3, 12, 2, 4, 4)
    results = []
    for padding in (0.0, torch.nan):
        torch.manual_seed(0)
        layer = SpikingConv(2, 4, neuron=FAST).train(training)
        x = clean.clone()
        x[torch.arange(12) >= lengths[:, None]] = padding
        x.requires_grad_()
        out, state = layer(x, lengths=lengths)
        out.sum().backward()
        grads = [x.grad, *(p.grad for p in layer.parameters())]
        results.append([out, *leaves(state), *layer.buffers(), *grads])
    for zero, nan in zip(*results, strict=True):
        assert zero is not None
        assert zero.isfinite().all()
        assert torch.equal(zero, nan)
    assert not results[0][0][1, 7:].any()
    if not training:
        alone, own = layer(clean[1:2, :7])
        assert torch.equal(out[1:2, :7], alone)
        assert_close(state.neuron.u[16:32], own.neuron.u, ELEMENT)


def test_convolution_errors_name_what_is_wrong() -> None:
    layer = SpikingConv(2, 4)
    with pytest.raises(ValueError, match=r"x must have shape \(B, T, 2, H, W\), got"):
        layer(draw(2, 5, 3, 4, 4))
    with pytest.raises(RuntimeError, match=r"step needs eval\(\)"):
        layer.step(draw(2, 2, 4, 4))
    for arguments in ({"kernel": 0}, {"stride": 0}, {"padding": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(arguments))} must"):
            SpikingConv(2, 4, **arguments)
    assert layer.eval()(draw(0, 5, 2, 4, 4))[0].shape == (0, 5, 4, 4, 4)


def test_block_errors_name_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="heads must divide the 8 features, got 3"):
        SpikingTransformer(D, heads=3)
    with pytest.raises(ValueError, match="piece must be at least 1"):
        SpikingTransformer(D, piece=0)
    with pytest.raises(ValueError, match="heads must cut the 8 features into even widths, got 8"):
        TransformerBlock(D, heads=8)
    with pytest.raises(ValueError, match="window must be at least 1"):
        TransformerBlock(D, window=0)
    with pytest.raises(ValueError, match=r"state.h must have shape \(2, 8\)"):
        GRUBlock(D)(draw(2, 3, D), GRUBlockState(torch.zeros(3, D)))
    cache = TransformerBlockState(torch.zeros(2, 4, D), torch.zeros(2, 4, D), torch.zeros(2, 1))
    with pytest.raises(ValueError, match=r"must have shape \(2, 512, 8\)"):
        TransformerBlock(D)(draw(2, 3, D), cache)
    for make in BLOCKS.values():
        with pytest.raises(ValueError, match=r"x must have shape \(B, T, 8\), got \(2, 8\)"):
            make(D)(draw(2, D))


@pytest.mark.parametrize("detach", [True, False])
def test_alif_is_its_equations(detach: bool) -> None:
    neuron = ALIF(
        5, tau=4.0, tau_adaptation=20.0, strength=0.25, learnable_strength=True, detach_reset=detach
    ).double()
    x = 2 * draw(3, 60, 5, dtype=torch.float64)
    spikes, state = neuron(x)
    rho = torch.tensor(-1 / 20, dtype=torch.float64).exp()
    v = torch.zeros(3, 5, dtype=torch.float64)
    for t in range(60):
        # The threshold in closed form: every past spike, decayed.
        ages = torch.arange(t - 1, -1, -1, dtype=torch.float64)
        theta = 1 + 0.25 * (spikes[:, :t] * (rho**ages)[:, None]).sum(1)
        u = 0.75 * v + x[:, t]
        assert torch.equal(spikes[:, t], (u >= theta).double())
        v = u - theta * spikes[:, t]
    assert 0.02 < spikes.mean() < 0.5
    assert_close(state.v, v.detach(), SUMMED)
    loss = (spikes * draw(3, 60, 5, seed=2, dtype=torch.float64)).sum()
    (gradient,) = torch.autograd.grad(loss, neuron.strength)
    assert gradient.all()


def test_alif_without_adaptation_is_lif_and_tires_with_it() -> None:
    x = 2 * draw(2, 200, 5).abs()
    for detach in (True, False):
        plain = LIF(5, tau=4.0, detach_reset=detach)
        twin = ALIF(5, tau=4.0, strength=0.0, detach_reset=detach)
        results = []
        for neuron in (plain, twin):
            leaf = x.clone().requires_grad_()
            spikes, _ = neuron(leaf)
            spikes.sum().backward()
            results.append((spikes, leaf.grad))
        assert torch.equal(results[0][0], results[1][0])
        assert_close(results[1][1], results[0][1], ELEMENT)
    tired, _ = ALIF(5, tau=4.0, strength=0.5)(x)
    assert tired[:, 100:].mean() < 0.6 * tired[:, :20].mean()


def test_alif_gradient_reaches_back_through_the_threshold() -> None:
    neuron = ALIF(1, tau=1.0, tau_adaptation=1000.0, strength=0.5)
    x = torch.full((1, 50, 1), 0.9, requires_grad=True)
    (gradient,) = torch.autograd.grad(neuron(x)[0][:, -1].sum(), x)
    # tau = 1 forgets the membrane at once: what reaches the first step came by the threshold.
    slope = ATan().derivative(torch.tensor(-0.1))
    assert gradient[0, 0, 0] < 0
    assert_close(gradient[0, -1, 0], slope, ELEMENT)


def test_alif_errors_and_edges() -> None:
    for arguments in ({"tau": 0.5}, {"tau_adaptation": 0.0}):
        with pytest.raises(ValueError, match=f"{next(iter(arguments))} must"):
            ALIF(5, **arguments)
    neuron = ALIF(5)
    with pytest.raises(ValueError, match=r"v and a of shape \(2, 5\)"):
        neuron(draw(2, 3, 5), ALIFState(torch.zeros(3, 5), torch.zeros(3, 5)))
    with pytest.raises(TypeError, match=r"got torch\.int64"):
        neuron(torch.ones(2, 3, 5, dtype=torch.int64))
    spikes, state = neuron(draw(2, 0, 5))
    assert spikes.shape == (2, 0, 5)
    assert not state.v.any()


def test_bfloat16_autocast_leaves_the_spikes_of_an_sdtcm_as_they_are() -> None:
    torch.manual_seed(0)
    backbone = Backbone(SDTCM, inputs=3, features=64, depth=2)
    x = torch.randn(4, 200, 3)
    plain, _ = backbone(x)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = backbone(x)
    assert torch.equal(mixed, plain)
    grads = [
        torch.autograd.grad(y.square().sum(), list(backbone.parameters())) for y in (plain, mixed)
    ]
    error = sum(float((a - b).square().sum()) for a, b in zip(*grads, strict=True)) ** 0.5
    assert error < 0.01 * sum(float(g.square().sum()) for g in grads[0]) ** 0.5
