"""Backbones, heads and the networks they make: what each gives, lengths, steps, long counts."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from spikescan import LIF, PRF
from spikescan.models import (
    SDTCM,
    Backbone,
    Classifier,
    Head,
    LastHead,
    MeanHead,
    MeanHeadState,
    Network,
    SpikingCNN,
    StepHead,
    WindowHead,
)
from support import draw
from tolerance import ELEMENT, assert_close

B, T, D, OUT = 3, 40, 6, 2
LENGTHS = torch.tensor([T, 17, 0])
BLOCK = partial(SDTCM, neuron=partial(PRF, dt_min=0.1, dt_max=1.0))
WINDOW = partial(WindowHead, steps=5)
HEADS = [MeanHead, LastHead, WINDOW, StepHead]


def expected(head: Head, stream: Tensor, t: int) -> Tensor:
    """The output (B, OUT) after t steps, from the equation."""
    weight, bias = head.linear.weight, head.linear.bias
    if t == 0:
        seen = stream.new_zeros(len(stream), weight.shape[1])
    elif isinstance(head, MeanHead):
        seen = stream[:, :t].mean(1)
    elif isinstance(head, WindowHead):
        first = max(0, t - head.steps)
        seen = stream.new_zeros(len(stream), head.steps, D)
        seen[:, head.steps - (t - first) :] = stream[:, first:t]
        seen = seen.flatten(1)
    else:
        seen = stream[:, t - 1]
    return seen @ weight.T + bias


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_is_its_equation_in_one_piece_in_steps_and_padded(
    kind: Callable[[int, int], Head],
) -> None:
    torch.manual_seed(0)
    head = kind(D, OUT).double()
    stream = draw(B, T, D, dtype=torch.float64)
    stream[1, 17:] = torch.nan
    stream[2] = torch.nan
    out, _ = head(stream, lengths=LENGTHS)
    for row, n in enumerate(LENGTHS.tolist()):
        if out.ndim == 2:
            assert_close(out[row], expected(head, stream[row : row + 1], n)[0], ELEMENT)
        else:
            assert not out[row, n:].any()
            for t in range(n):
                due = expected(head, stream[row : row + 1], t + 1)[0]
                assert_close(out[row, t], due, ELEMENT)
    state = None
    for t in range(T):
        got, state = head.step(stream[:1, t], state)
        assert_close(got, expected(head, stream[:1], t + 1), ELEMENT)


def test_a_row_of_no_valid_steps_keeps_what_the_head_had_read() -> None:
    for kind in (MeanHead, LastHead, WINDOW):
        head, stream = kind(D, OUT), draw(B, T, D)
        out, state = head(stream)
        nothing = torch.zeros(B, dtype=torch.int64)
        again, _ = head(torch.full_like(stream, torch.nan), state, nothing)
        assert torch.equal(again, out)


def test_the_mean_counts_beyond_what_floats_can() -> None:
    """After 2^24 steps float32 can neither count one more nor add one more."""
    head = MeanHead(1, 1)
    with torch.no_grad():
        head.linear.weight.fill_(1.0)
        head.linear.bias.zero_()  # type: ignore[union-attr]
    many = 2**24
    state = MeanHeadState(torch.full((1, 1), float(many)).double(), torch.tensor([many]))
    for _ in range(100):
        out, state = head.step(torch.full((1, 1), 2.0), state)
    assert state.steps.dtype == torch.int64
    assert state.steps.item() == many + 100
    assert state.total.item() == many + 200
    assert out.item() == torch.tensor((many + 200) / (many + 100)).float().item()


@torch.no_grad()
def test_steps_under_bfloat16_autocast_give_the_logits_of_the_whole() -> None:
    torch.manual_seed(0)
    steps = 2048
    model = Classifier(BLOCK, inputs=2, classes=4, features=8, depth=1).eval()
    x = draw(1, steps, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        whole, last = model(x)
        state = None
        for t in range(steps):
            logits, state = model.step(x[:, t], state)
    assert state is not None
    assert last is not None
    assert state.head.steps.tolist() == last.head.steps.tolist() == [steps]
    # One rounding to bfloat16 of the mean and of the logits each.
    assert float((logits - whole).abs().max()) <= 2 * 2**-8 * float(whole.abs().max())
    assert float((state.head.total - last.head.total).abs().max()) <= 2**-8 * float(
        last.head.total.abs().max()
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@torch.no_grad()
def test_a_half_precision_network_reads_40000_steps(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = Classifier(BLOCK, inputs=1, classes=3, features=4, depth=1).eval()
    x = draw(1, 40_000, 1)
    single, _ = model(x)
    whole, state = model.to(dtype)(x.to(dtype))
    logits, state = model(x.to(dtype), state)
    assert whole.dtype == dtype
    assert whole.isfinite().all()
    assert state is not None
    assert state.head.steps.tolist() == [80_000]
    assert logits.isfinite().all()
    assert float((whole - single).abs().max()) < 0.1 * float(single.abs().max())


def test_a_network_is_its_backbone_and_its_head() -> None:
    torch.manual_seed(0)
    backbone = Backbone(BLOCK, inputs=2, features=D, depth=2, readout=LIF)
    model = Network(backbone, StepHead(D, OUT)).eval()
    x = draw(B, T, 2)
    stream, _ = backbone(x)
    assert set(stream.unique().tolist()) <= {0.0, 1.0}
    out, state = model(x)
    assert torch.equal(out, model.head(stream)[0])
    first, half = model(x[:, :25])
    second, _ = model(x[:, 25:], half)
    assert_close(torch.cat((first, second), 1), out, ELEMENT)
    assert state is not None
    step, _ = model.step(x[:, 0])
    assert_close(step, out[:, 0], ELEMENT)


def test_what_does_not_fit_is_named() -> None:
    backbone = Backbone(BLOCK, features=8)
    for make, message in (
        (lambda: Network(backbone, MeanHead(6, 2)), "head must read a stream of width 8, got 6"),
        (
            lambda: Backbone(BLOCK, depth=0),
            "depth must be at least 1, or 0 with a readout or an encoder, got 0",
        ),
        (
            lambda: Backbone(None, features=8),
            "block must be given for a depth of 2, got None",
        ),
        (
            lambda: Backbone(BLOCK, inputs=3, encoder=partial(SpikingCNN, image=(1, 2, 2))),
            "encoder must read the 3 inputs, got one of 4",
        ),
        (
            lambda: Backbone(BLOCK, vocabulary=3, encoder=partial(SpikingCNN, image=(1, 1, 3))),
            "encoder must be None for tokens, which an Embedding encodes",
        ),
        (
            lambda: SpikingCNN(8, image=(1, 0, 2)),
            "image must be channels, height and width, got (1, 0, 2)",
        ),
        (
            lambda: SpikingCNN(8, image=(1, 2, 2), channels=()),
            "channels must be at least 1 of each layer, got ()",
        ),
        (lambda: Backbone(BLOCK, vocabulary=0), "vocabulary must be at least 1, got 0"),
        (lambda: MeanHead(8, 0), "outputs must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            make()


def test_parts_that_cannot_be_made_are_named() -> None:
    made = "that is made already; give its class, or functools.partial of it with options"
    for make, message in (
        (
            lambda: Classifier(SDTCM(16)),  # type: ignore[arg-type]
            f"block must make a Block from its width, got a SDTCM {made}",
        ),
        (lambda: Classifier(LIF), "block must make a Block, got one that makes a LIF"),  # type: ignore[arg-type]
        (
            lambda: SDTCM(16, neuron=LIF(16)),  # type: ignore[arg-type]
            f"neuron must make a Neuron from its width, got a LIF {made}",
        ),
        (
            lambda: Classifier(BLOCK, readout="LIF"),  # type: ignore[arg-type]
            "readout must make a Neuron from its width, got a str",
        ),
    ):
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            make()
