"""Whole networks: lengths, streaming, gradients, parameter counts, optimizer groups."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from spikescan import LIF, PRF
from spikescan.models import SDTCM, Classifier, parameter_groups
from support import draw
from tolerance import ELEMENT, SUMMED, assert_close

NEURON = partial(PRF, dt_min=0.1, dt_max=1.0, theta_max=3.0)
LENGTHS = torch.tensor([40, 23, 1])


def network(training: bool = False, **arguments: object) -> Classifier:
    torch.manual_seed(0)
    block = partial(SDTCM, neuron=NEURON, **arguments)
    return Classifier(block, inputs=2, classes=4, features=8, depth=2).train(training)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_padded_batch_equals_rows_alone(bidirectional: bool) -> None:
    model = network(bidirectional=bidirectional)
    x = draw(3, 40, 2)
    logits, _ = model(x, lengths=LENGTHS)
    for row, n in enumerate(LENGTHS.tolist()):
        assert_close(logits[row : row + 1], model(x[row : row + 1, :n])[0], ELEMENT)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_leaks_into_nothing(bidirectional: bool) -> None:
    valid = (torch.arange(40) < LENGTHS[:, None])[..., None]
    seen = []
    for padding in (0.0, torch.nan):
        model = network(training=True, bidirectional=bidirectional)
        x = torch.where(valid, draw(3, 40, 2), padding).requires_grad_()
        logits, _ = model(x, lengths=LENGTHS)
        logits.square().sum().backward()
        assert x.grad is not None
        seen.append([logits, x.grad, *[p.grad for p in model.parameters()], *model.buffers()])
    for zero, nan in zip(*seen, strict=True):
        assert torch.equal(zero, nan)
        assert zero.isfinite().all()


def test_batch_norm_ignores_padding() -> None:
    """Statistics of a padded batch are those of its valid steps, packed end to end."""
    model = network(training=True)
    norm = model.backbone.blocks[0].norm_time
    x = draw(3, 40, 8)
    padded = norm(x, LENGTHS)
    mean = norm.inner.running_mean.clone()
    norm.inner.reset_running_stats()
    valid = torch.cat([x[row, :n] for row, n in enumerate(LENGTHS.tolist())])
    packed = norm(valid[None])
    assert_close(mean, norm.inner.running_mean, SUMMED)
    assert_close(
        torch.cat([padded[row, :n] for row, n in enumerate(LENGTHS.tolist())])[None],
        packed,
        ELEMENT,
    )


def test_steps_give_the_logits_so_far() -> None:
    model, x = network(), draw(2, 40, 2)
    state = None
    for t in range(40):
        logits, state = model.step(x[:, t], state)
        if t in (0, 20, 39):
            assert_close(logits, model(x[:, : t + 1])[0], ELEMENT)


def test_chunks_carry_gradients() -> None:
    model, x = network(), draw(2, 40, 2).requires_grad_()
    whole, _ = model(x)
    _, state = model(x[:, :15])
    chunked, _ = model(x[:, 15:], state)
    assert_close(chunked, whole, ELEMENT)
    expected = torch.autograd.grad(whole.square().sum(), x)[0]
    assert expected[:, :15].any()
    assert_close(torch.autograd.grad(chunked.square().sum(), x)[0], expected, ELEMENT)


def test_future_readers_refuse_to_stream() -> None:
    model = network(bidirectional=True)
    assert not model.causal
    with pytest.raises(ValueError, match="reads the future"):
        model.step(draw(2, 2))
    _, state = network()(draw(2, 5, 2))
    with pytest.raises(ValueError, match="reads the future"):
        model(draw(2, 5, 2), state)


def test_tokens_go_through_an_embedding() -> None:
    torch.manual_seed(0)
    model = Classifier(partial(SDTCM, neuron=NEURON), vocabulary=11, features=8, depth=1)
    tokens = torch.randint(11, (2, 30))
    assert model(tokens)[0].shape == (2, 10)
    with pytest.raises(ValueError, match=r"tokens \(B, T\)"):
        model(torch.randn(2, 30, 1))


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"x must have shape \(B, T, 2\), got \(3, 40, 5\)"):
        network()(draw(3, 40, 5))
    with pytest.raises(ValueError, match="classes must be at least 1, got 0"):
        Classifier(SDTCM, classes=0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # encoder 2*1 D, head (D + 1) C, a block: neuron 2 D, two Linear D (D + 1), alpha, norms;
        # no bias in a Linear before a norm
        ({}, 2 * 128 + 129 * 10 + 2 * (2 * 128 + 2 * 128 * 128 + 1 + 4 * 128)),
        ({"prenorm": True}, 2 * 128 + 129 * 10 + 2 * (2 * 128 + 2 * 128 * 129 + 1 + 2 * 128)),
        (
            {"bidirectional": True, "norm": "none"},
            2 * 128 + 129 * 10 + 2 * (4 * 128 + 128 * 257 + 128 * 129 + 1),
        ),
    ],
)
def test_parameter_count(arguments: dict[str, object], expected: int) -> None:
    model = Classifier(partial(SDTCM, **arguments), features=128, depth=2)
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize("prenorm", [False, True])
def test_every_parameter_learns(prenorm: bool) -> None:
    model = network(training=True, prenorm=prenorm)
    model(draw(4, 60, 2))[0].square().sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        # Batch normalisation takes away what the bias before it adds.
        if not prenorm and name.endswith("mixer.bias"):
            continue
        assert p.grad.any(), name


def test_alpha_scales_what_the_spatial_spikes_say() -> None:
    block = SDTCM(8, neuron=NEURON, norm="none").eval()
    x = draw(2, 30, 8)
    out, _ = block(x)
    with torch.no_grad():
        block.channel_mixer.weight.mul_(3.0)
        block.channel_mixer.log_scale.sub_(torch.log(torch.tensor(3.0)))
    assert_close(block(x)[0], out, ELEMENT)


def test_optimizer_groups_come_from_the_modules() -> None:
    model = Classifier(
        partial(SDTCM, neuron=partial(LIF, learnable_tau=True, tau=3.0)), features=8, depth=1
    )
    matrices, vectors, neurons = parameter_groups(model, lr=0.1, neuron_lr=0.01, weight_decay=0.5)
    assert [p.shape for p in neurons["params"]] == [(8,)]
    assert neurons["params"][0] is model.backbone.blocks[0].temporal.logit
    assert (neurons["lr"], neurons["weight_decay"]) == (0.01, 0.0)
    assert all(p.ndim == 2 for p in matrices["params"])
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.5, 0.0)
    count = sum(len(g["params"]) for g in (matrices, vectors, neurons))
    assert count == len(list(model.parameters()))
