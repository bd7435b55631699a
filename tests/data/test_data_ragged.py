"""Sequences of different length: any number of channels, tokens, and what is measured of them."""

from __future__ import annotations

import pytest
import torch

from spikescan.data import (
    Classes,
    DataError,
    Facts,
    FixedSequences,
    RaggedSequences,
    TokenSequences,
)
from spikescan.data.parts import chosen
from spikescan.data.statistics import statistics

SIZES, Y = torch.tensor([3, 5, 1]), torch.tensor([0, 1, 2])
SAMPLES = torch.arange(18.0).view(9, 2)


def test_channels_stay_side_by_side_and_rows_are_padded() -> None:
    data = RaggedSequences(SAMPLES, SIZES, Y, max_length=4)
    batch = data.batch(torch.tensor([1, 2]), 0)
    assert batch.x.tolist() == [[[6, 7], [8, 9], [10, 11], [12, 13]], [[16, 17], *[[0, 0]] * 3]]
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [4, 1]
    assert batch.y.tolist() == [1, 2]


def test_a_frame_holds_all_channels_of_its_samples() -> None:
    batch = RaggedSequences(SAMPLES, SIZES, Y, max_length=9, frame=2).batch(torch.tensor([0]), 0)
    assert batch.x.tolist() == [[[0, 1, 2, 3], [4, 5, 0, 0]]]
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [2]


def test_channels_are_augmented_together() -> None:
    x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))
    options = {"max_length": 2000, "shift": 50, "gain": 6.0, "speed": 0.2, "seed": 3}
    both = RaggedSequences(x.expand(-1, 2).contiguous(), *one(1000), **options)  # type: ignore[arg-type]
    alone = RaggedSequences(x, *one(1000), **options)  # type: ignore[arg-type]
    row = torch.tensor([0])
    assert torch.equal(both.batch(row, 4).x, alone.batch(row, 4).x.expand(-1, -1, 2))
    assert not torch.equal(alone.batch(row, 4).x, alone.batch(row, 5).x)


def one(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([size]), torch.tensor([0])


def test_tokens_are_batches_of_whole_numbers() -> None:
    data = TokenSequences(torch.arange(9, dtype=torch.uint8), SIZES, Y, max_length=4)
    batch = data.batch(torch.tensor([1, 2]), 0)
    assert batch.x.dtype == torch.int64
    assert batch.x.tolist() == [[3, 4, 5, 6], [8, 0, 0, 0]]
    with pytest.raises(ValueError, match=r"^samples must be real numbers, or .* got torch\.int64$"):
        RaggedSequences(torch.arange(9), SIZES, Y, max_length=4)


def test_sizes_that_are_not_those_of_the_samples() -> None:
    with pytest.raises(ValueError, match=r"^sizes must be 3 .* sum is 9, .* got 3 .* the sum 8$"):
        RaggedSequences(SAMPLES, torch.tensor([3, 4, 1]), Y, max_length=4)
    with pytest.raises(ValueError, match=r"^sizes must be 3 .* got 3 from 0 on with the sum 9$"):
        TokenSequences(torch.arange(9), torch.tensor([3, 6, 0]), Y, max_length=4)


def test_statistics_are_those_of_valid_steps_in_any_order_of_size() -> None:
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0)) * 3 + torch.tensor([1e4, 0])
    sizes = torch.tensor([1, 4] * 80)
    y = torch.zeros(160, dtype=torch.int64)
    mean, std = statistics(RaggedSequences(x, sizes, y, max_length=9))
    assert torch.allclose(mean, x.double().mean(0).float(), rtol=1e-6, atol=1e-6)
    assert torch.allclose(std, x.double().std(0, correction=0).float(), rtol=1e-6)


def test_statistics_name_what_is_not_finite() -> None:
    x = torch.zeros(2, 3, 2)
    data = FixedSequences(x, torch.zeros(2, dtype=torch.int64))
    x[1, 1, 1] = torch.inf
    with pytest.raises(
        DataError, match=r"^channel 'b' of the training data holds NaN or infinity$"
    ):
        statistics(data, ("a", "b"))
    words = TokenSequences(torch.arange(9), SIZES, Y, max_length=4)
    with pytest.raises(DataError, match=r"^tokens have no mean to scale them by"):
        statistics(words)


def test_facts_that_do_not_go_together() -> None:
    with pytest.raises(ValueError, match=r"^channels must name each of the 2 inputs, got \('a',\)"):
        Facts(Classes(("a", "b")), length=3, inputs=2, channels=("a",))
    with pytest.raises(ValueError, match=r"^scaled needs real-valued input, got a vocabulary$"):
        Facts(Classes(("a", "b")), length=3, vocabulary=5, scaled=True)


def test_what_fills_the_last_step_is_not_measured() -> None:
    samples = torch.full((17, 1), 5.0)
    sizes, y = torch.tensor([9, 5, 3]), torch.tensor([0, 1, 0])
    data = RaggedSequences(samples, sizes, y, max_length=9, frame=4)
    whole = chosen(data, torch.tensor([0, 1]))
    mean, std = statistics(whole)
    assert mean.tolist() == [5, 5, 5, 5]
    assert std.tolist() == [0, 0, 0, 0]
    mean, _ = statistics(chosen(data, torch.tensor([2])))  # it has no other step
    assert mean.tolist() == [5, 5, 5, 0]
