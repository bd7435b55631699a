"""The first part of a network: shift and scale of its input, as the training data have them."""

from __future__ import annotations

import pytest
import torch

from spikescan.models import SDTCM, Backbone, MeanHead, Network, Scale, walk
from spikescan.models.walk import INPUT, Affine
from support import draw


def test_measured_values_are_taken_out() -> None:
    x = draw(4, 50, 3, scale=7.0, shift=1000.0) * torch.tensor([1.0, 0.01, 30.0])
    scale = Scale(x.mean((0, 1)), x.std((0, 1)))
    y = scale(x)
    assert (y.mean((0, 1))).abs().max() < 1e-3
    assert (y.std((0, 1)) - 1).abs().max() < 1e-3
    assert torch.equal(scale(x[:, 7]), y[:, 7])
    assert not list(scale.parameters())


def test_a_channel_that_stands_still_is_only_shifted() -> None:
    scale = Scale(torch.tensor([5.0]), torch.tensor([0.0]))
    assert scale(torch.tensor([[[5.0], [7.0]]])).flatten().tolist() == [0, 2]


def test_values_stay_wide_in_half_precision() -> None:
    scale = Scale(torch.tensor([1000.0]), torch.tensor([3.0])).bfloat16()
    assert scale.mean.dtype == torch.float32
    # 1008 is a number of bfloat16, and 8 / 3 is to its digits.
    assert scale(torch.tensor([[1008.0]]).bfloat16()).item() == pytest.approx(8 / 3, rel=4e-3)


def test_it_is_the_first_part_and_saved_with_the_network() -> None:
    backbone = Backbone(SDTCM, inputs=2, features=4, depth=1)
    model = Network(backbone, MeanHead(4, 3), Scale(torch.ones(2), torch.full((2,), 4.0)))
    first, second = walk(model)[:2]
    assert isinstance(first, Affine)
    assert (first.name, first.inputs, second.inputs) == ("scale", (INPUT,), ("scale",))
    assert (first.gain.tolist(), first.bias.tolist()) == ([0.25] * 2, [-0.25] * 2)
    other = Network(backbone, MeanHead(4, 3), Scale(torch.zeros(2), torch.ones(2)))
    other.load_state_dict(model.state_dict())
    x = draw(2, 9, 2)
    assert torch.equal(other.eval()(x)[0], model.eval()(x)[0])


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (torch.zeros(2), torch.ones(3), r"std must have shape \(2,\), got \(3,\)"),
        (torch.tensor([torch.nan]), torch.ones(1), r"mean must be finite, got tensor\(\[nan\]\)"),
        (torch.zeros(1), torch.tensor([-1.0]), r"std must be at least 0, got tensor\(\[-1.\]\)"),
    ],
)
def test_wrong_values(mean: torch.Tensor, std: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Scale(mean, std)


def test_wrong_channels() -> None:
    scale = Scale(torch.zeros(2), torch.ones(2))
    with pytest.raises(ValueError, match=r"^x must have shape \(\.\.\., 2\), got "):
        scale(torch.zeros(1, 5, 3))
    with pytest.raises(ValueError, match=r"^scale must have the channels of the input, 3, got 2$"):
        Network(Backbone(SDTCM, inputs=3, features=4, depth=1), MeanHead(4, 3), scale)
    words = Backbone(SDTCM, vocabulary=5, features=4, depth=1)
    with pytest.raises(ValueError, match=r"channels of the input, no tokens, got 2$"):
        Network(words, MeanHead(4, 3), scale)
