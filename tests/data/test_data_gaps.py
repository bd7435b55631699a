"""NaN and infinite values in data: refused with their place, or filled in as told."""

from __future__ import annotations

import math

import pytest
import torch

from spikescan.data import DataError, FixedSequences, RaggedSequences, without_missing

NAN = math.nan


@pytest.mark.parametrize("bad", [NAN, math.inf, -math.inf])
def test_one_missing_value_is_refused_with_its_place(bad: float) -> None:
    x = torch.zeros(128, 50, 3)
    x[17, 30, 2] = bad
    with pytest.raises(DataError) as caught:
        FixedSequences(x, torch.zeros(128, dtype=torch.int64))
    assert str(caught.value) == (
        "x is NaN or infinite 1 times, the first at sequence 17, step 30, channel 2; "
        "mend them, or say missing='hold' or missing='zero'"
    )
    samples = torch.zeros(10)
    samples[7] = bad
    sizes, y = torch.tensor([4, 6]), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(DataError, match=r"^sequence 1 is NaN .* the first at step 3, channel 0;"):
        RaggedSequences(samples, sizes, y, max_length=6)


def test_values_are_filled_in_as_told() -> None:
    x = torch.tensor([[[NAN, 1.0], [2.0, NAN], [NAN, NAN], [4.0, 5.0]]])
    y = torch.zeros(1, dtype=torch.int64)
    held = FixedSequences(x, y, missing="hold")[0].x
    assert held.tolist() == [[[2, 1], [2, 1], [2, 1], [4, 5]]]
    zero = FixedSequences(x, y, missing="zero")[0].x
    assert zero.tolist() == [[[0, 1], [2, 0], [0, 0], [4, 5]]]
    # A sequence of its own does not go on with the value of the one before.
    samples = torch.tensor([1.0, 2.0, NAN, 3.0])
    ragged = RaggedSequences(
        samples, torch.tensor([2, 2]), torch.zeros(2, dtype=torch.int64), max_length=2,
        missing="hold",
    )  # fmt: skip
    assert ragged[1].x.flatten().tolist() == [3, 3]


def test_a_channel_without_any_value_is_named() -> None:
    x = torch.zeros(2, 3, 2)
    x[1, :, 1] = NAN
    with pytest.raises(DataError, match=r"^x has no value to repeat in sequence 1, channel 1"):
        without_missing(x, "hold", "x")


def test_what_misses_nothing_is_not_copied() -> None:
    x = torch.zeros(2, 3, 2)
    assert without_missing(x, "refuse", "x") is x
    whole = torch.zeros(2, 3, 2, dtype=torch.uint8)
    assert without_missing(whole, "refuse", "x") is whole


def test_unknown_way() -> None:
    with pytest.raises(ValueError, match="missing must be 'refuse', 'hold' or 'zero', got 'guess'"):
        without_missing(torch.zeros(1, 1), "guess", "x")  # type: ignore[arg-type]
