"""Subsets and joined data sets as splits."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from spikescan.data import FixedSequences, Probe, RaggedSequences, SequenceData, Splits
from spikescan.data.parts import as_sequences

FIXED = FixedSequences(torch.arange(12.0).view(4, 3, 1), torch.tensor([0, 1, 2, 3]))
RAGGED = RaggedSequences(
    torch.arange(100.0, 109.0), torch.tensor([2, 5, 2]), torch.tensor([3, 2, 1]), max_length=9
)


def test_a_subset_gives_its_rows() -> None:
    part = as_sequences(Subset(Subset(FIXED, [3, 1, 0]), [2, 0]))
    assert part.y.tolist() == [0, 3]
    assert part.lengths is None
    batch = part.batch(torch.tensor([1, 0]), 0)
    assert batch.x[..., 0].tolist() == [[9, 10, 11], [0, 1, 2]]
    assert batch.y.tolist() == [3, 0]


def test_joined_sets_are_padded_to_the_longest() -> None:
    joined = as_sequences(ConcatDataset([FIXED, RAGGED]))
    assert joined.y.tolist() == [0, 1, 2, 3, 3, 2, 1]
    assert joined.lengths is not None
    assert joined.lengths.tolist() == [3, 3, 3, 3, 2, 5, 2]
    batch = joined.batch(torch.tensor([5, 3, 4]), 0)
    assert batch.x[..., 0].tolist() == [
        [102, 103, 104, 105, 106],
        [9, 10, 11, 0, 0],
        [100, 101, 0, 0, 0],
    ]
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [5, 3, 2]
    assert batch.y.tolist() == [2, 3, 3]


class Parts(Probe):
    """Splits as torch's `random_split` makes them; the first is joined from two."""

    def load(self) -> Splits:
        whole = super().load().train
        size = len(whole) // 4
        parts = [Subset(whole, range(i * size, (i + 1) * size)) for i in range(4)]
        return Splits(ConcatDataset(parts[:2]), parts[2], parts[3])  # type: ignore[arg-type]


def test_splits_may_be_parts_in_any_epoch() -> None:
    data: SequenceData = Parts(length=16, samples=64, batch_size=4)
    loader = data.train_dataloader()
    seen = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        seen.append(torch.cat([batch.y for batch in loader]))
    assert sorted(seen[0].tolist()) == sorted(seen[1].tolist())
    assert seen[0].tolist() != seen[1].tolist()
    assert sum(len(batch.y) for batch in data.val_dataloader()) == len(data.splits.val)


@pytest.mark.parametrize("other", [TensorDataset(torch.ones(2)), [1, 2]])
def test_other_data_sets_are_refused(other: Dataset[object]) -> None:
    with pytest.raises(TypeError, match=f"of them, got {type(other).__name__}$"):
        as_sequences(other)  # type: ignore[arg-type]
