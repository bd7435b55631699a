"""The order of training data, and batches made from memory."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch.utils.data import BatchSampler

from spikescan.data import (
    EpochSampler,
    FixedSequences,
    RaggedSequences,
    Sequences,
    collate,
)


def ragged(**options: float) -> RaggedSequences:
    """Sequence i is the number i + 1, repeated; lengths 4, 5, .., 23."""
    sizes = torch.arange(4, 24)
    samples = torch.repeat_interleave(torch.arange(1.0, 21.0), sizes)
    return RaggedSequences(samples, sizes, torch.arange(20), **{"max_length": 12, **options})  # type: ignore[arg-type]


def test_order_is_a_permutation_that_depends_on_seed_and_epoch_only() -> None:
    orders = {}
    for seed in range(3):
        for epoch in range(3):
            sampler = EpochSampler(50, seed=seed)
            sampler.set_epoch(epoch)
            drawn = list(sampler)
            assert drawn == list(sampler)
            assert [index - epoch * 50 for index in drawn] == sampler.order(epoch)
            assert sorted(sampler.order(epoch)) == list(range(50))
            orders[seed, epoch] = tuple(sampler.order(epoch))
    assert len(set(orders.values())) == 9


def test_bucketed_order_is_a_permutation_of_even_batches() -> None:
    lengths = torch.randint(1, 1000, (203,), generator=torch.Generator().manual_seed(0))
    sampler = EpochSampler(203, seed=0, lengths=lengths, batch_size=8)
    assert sorted(sampler.order(0)) == list(range(203))
    assert sampler.order(0) != sampler.order(1)
    batches = list(BatchSampler(sampler, 8, drop_last=False))
    assert [len(batch) for batch in batches] == [8] * 25 + [3]

    def padded(order: list[int]) -> int:
        return sum(8 * int(lengths[order[i : i + 8]].max()) for i in range(0, 200, 8))

    plain = EpochSampler(203, seed=0).order(0)
    waste = [padded(order) / int(lengths.sum()) for order in (sampler.order(0), plain)]
    assert waste[0] < 1.2 < waste[1]
    # Short and long batches must alternate by chance, not be sorted.
    longest = [int(lengths[batch].max()) for batch in batches]
    assert longest != sorted(longest)


def test_collate_pads_at_the_end() -> None:
    batch = collate([torch.full((2, 3), 5.0), torch.full((4, 3), 7.0)], torch.tensor([1, 0]))
    assert batch.x.shape == (2, 4, 3)
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [2, 4]
    assert batch.lengths.dtype == batch.y.dtype == torch.int64
    assert torch.equal(batch.x[0, :2], torch.full((2, 3), 5.0))
    assert torch.equal(batch.x[0, 2:], torch.zeros(2, 3))


def test_collate_tokens() -> None:
    batch = collate([torch.tensor([3, 4]), torch.tensor([5])], torch.tensor([1, 0]), padding=9)
    assert batch.x.dtype == torch.int64
    assert batch.x.tolist() == [[3, 4], [5, 9]]


def test_collate_refuses_nothing_and_a_mismatch() -> None:
    with pytest.raises(ValueError, match="got 0 and 0"):
        collate([], torch.tensor([]))
    with pytest.raises(ValueError, match="got 1 and 2"):
        collate([torch.ones(1)], torch.tensor([0, 1]))


def test_fixed_sequences_normalise_without_touching_the_data() -> None:
    x = torch.arange(24, dtype=torch.uint8).view(3, 4, 2)
    data = FixedSequences(x, torch.tensor([5, 6, 7]), mean=10.0, std=2.0)
    batch = data.__getitems__([2, 0])
    assert batch.x.dtype == torch.float32
    assert torch.equal(batch.x, (x[[2, 0]].float() - 10) / 2)
    assert batch.y.tolist() == [7, 5]
    assert batch.lengths is None
    assert torch.equal(x, torch.arange(24, dtype=torch.uint8).view(3, 4, 2))
    floats = FixedSequences(x.float(), data.y, mean=1.0)
    assert torch.equal(floats[0].x, floats[0].x)
    # An index carries its epoch.
    assert torch.equal(data.__getitems__([2 + 5 * 3]).x, data[2].x)


@pytest.mark.parametrize("data", [ragged(), FixedSequences(torch.ones(20, 1, 1), torch.ones(20))])
def test_iteration_ends_and_wrong_indices_raise(data: Sequences) -> None:
    assert sum(len(batch.y) for batch in data) == 20
    for index in (-1, 20):
        with pytest.raises(IndexError, match=r"outside 0 \.\. 19"):
            data[index]


def test_ragged_lengths_are_right_and_padding_is_zero() -> None:
    batch = ragged().__getitems__([0, 7, 19])
    assert batch.x.shape == (3, 12, 1)
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [4, 11, 12]
    for row, (length, value) in enumerate(zip((4, 11, 12), (1.0, 8.0, 20.0), strict=True)):
        assert (batch.x[row, :length] == value).all()
        assert (batch.x[row, length:] == 0).all()


def test_frames_fold_consecutive_samples() -> None:
    samples = torch.arange(1.0, 12.0)
    data = RaggedSequences(
        samples, torch.tensor([7, 4]), torch.tensor([0, 1]), max_length=6, frame=4
    )
    batch = data.__getitems__([0, 1])
    assert batch.x.shape == (2, 2, 4)
    assert batch.x[0].tolist() == [[1, 2, 3, 4], [5, 6, 0, 0]]
    assert batch.x[1].tolist() == [[8, 9, 10, 11], [0, 0, 0, 0]]
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [2, 1]
    assert data.lengths is not None
    assert data.lengths.tolist() == [2, 1]


def test_augmentation_depends_on_seed_epoch_and_item_only() -> None:
    data = ragged(shift=4, gain=6.0, seed=3, max_length=30)
    alone, together = data.__getitems__([15]), data.__getitems__([2, 15, 8])
    assert alone.lengths is not None
    length = int(alone.lengths[0])
    assert together.lengths is not None
    assert int(together.lengths[1]) == length
    assert torch.equal(alone.x[0], together.x[1, :length])
    # It stays within its bounds and differs between epochs.
    lengths, factors = set(), set()
    for epoch in range(50):
        batch = data.__getitems__([15 + 20 * epoch])
        assert batch.lengths is not None
        lengths.add(int(batch.lengths[0]))
        factors.add(float(batch.x[0, 0, 0]) / 16)
    assert lengths == {15, 16, 17, 18, 19}
    assert len(factors) == 50
    assert 10 ** (-6 / 20) < min(factors) < 0.8
    assert 1.25 < max(factors) < 10 ** (6 / 20)
    # Never more than a quarter is dropped, so that something is left.
    short = ragged(shift=1000)
    kept = {short.__getitems__([20 * epoch]).x.shape[1] for epoch in range(50)}
    assert kept == {3, 4}


def test_data_sets_can_be_sent_to_worker_processes() -> None:
    copy = pickle.loads(pickle.dumps(ragged(shift=3)))
    assert torch.equal(copy[5].x, ragged(shift=3)[5].x)
