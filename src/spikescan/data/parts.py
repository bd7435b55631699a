"""Parts of data sets and several joined, as torch's ``Subset`` and ``ConcatDataset`` make them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset, Subset

from spikescan.data.batch import SequenceBatch, collate
from spikescan.data.memory import Sequences


def as_sequences(data: Dataset[SequenceBatch]) -> Sequences:
    """Sequences as they are, and what torch makes of them.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(data, Sequences):
        return data
    if isinstance(data, Subset):
        return _Chosen(as_sequences(data.dataset), torch.as_tensor(list(data.indices)))
    if isinstance(data, ConcatDataset):
        return _Joined([as_sequences(part) for part in data.datasets])
    raise TypeError(
        f"a split must be Sequences, or a Subset or ConcatDataset of them, got "
        f"{type(data).__name__}"
    )


def chosen(whole: Sequences, rows: Tensor) -> Sequences:
    """The sequences of these row numbers (N,), which are not copied."""
    return _Chosen(whole, rows)


class _Chosen(Sequences):
    def __init__(self, whole: Sequences, rows: Tensor) -> None:
        lengths = whole.lengths
        super().__init__(whole.y[rows], None if lengths is None else lengths[rows])
        self.whole, self.rows = whole, rows
        self.filled = whole.filled

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        return self.whole.batch(self.rows[rows], epoch)


class _Joined(Sequences):
    def __init__(self, parts: list[Sequences]) -> None:
        lengths = [_lengths(part) for part in parts]
        super().__init__(torch.cat([part.y for part in parts]), torch.cat(lengths))
        self.parts = parts
        self.filled = any(part.filled for part in parts)
        sizes = torch.tensor([len(part) for part in parts])
        self.ends = sizes.cumsum(0)
        self.starts = self.ends - sizes

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        # One by one: the parts may differ in length, and whether they give lengths.
        sequences: list[Tensor] = []
        for row in rows:
            part = int(torch.searchsorted(self.ends, row, right=True))
            one = self.parts[part].batch((row - self.starts[part])[None], epoch)
            sequences.append(one.x[0] if one.lengths is None else one.x[0, : int(one.lengths[0])])
        return collate(sequences, self.y[rows])


def _lengths(part: Sequences) -> Tensor:
    if part.lengths is not None or not len(part):
        return torch.zeros(0, dtype=torch.int64) if part.lengths is None else part.lengths
    steps = part.batch(torch.tensor([0]), 0).x.shape[1]
    return torch.full((len(part),), steps)
