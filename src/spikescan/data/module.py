"""What all data modules share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Facts
from spikescan.data.memory import Sequences
from spikescan.data.parts import as_sequences
from spikescan.data.root import DataError
from spikescan.data.sampler import EpochSampler
from spikescan.data.statistics import statistics


class Splits(NamedTuple):
    """The three parts of a data set; no item is in two of them."""

    train: Sequences
    val: Sequences
    test: Sequences


class SequenceData(lightning.LightningDataModule, ABC):
    """Sequences to learn from: facts for building a network, and three data loaders.

    The facts are known before anything is read. Data are read on first use. Loaders yield
    :class:`~spikescan.data.batch.SequenceBatch`; validation and test data come in a fixed order,
    training data in an order that depends on the seed and the epoch alone.

    A subclass gives :attr:`facts` and :meth:`load`, and :attr:`source` where its files are those
    of a data set that the package knows.

    Args:
        root: Folder of all data sets; see :func:`~spikescan.data.root.data_root`.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 prepares them in the main process.
        seed: Seed of the order of the training data. Splits do not depend on it.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self, *, root: str | None = None, batch_size: int = 64, workers: int = 0, seed: int = 0
    ) -> None:
        super().__init__()
        at_least("batch_size", batch_size, 1)
        at_least("workers", workers, 0)
        at_least("seed", seed, 0)
        self.root = root
        self.notes: list[str] = []
        """What was done to files as they were read, a line each: their reader should know it."""
        self.ahead: dict[str, list[str]] = {}
        """Of the file that was read last to predict from: the times of the steps that follow, by
        the name of their column, where it tells them."""
        self.batch_size = batch_size
        self.workers = workers
        self.seed = seed

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What a network and a task have to know before the data are read."""

    @property
    def source(self) -> str | None:
        """Name of the data set in ``spikescan data list``, or path of a file below the data root;
        None for generated data."""
        return None

    @abstractmethod
    def load(self) -> Splits:
        """Read the data; callers use :attr:`splits`, which does it once.

        A part may also be a ``torch.utils.data`` ``Subset`` or ``ConcatDataset`` of sequences.

        Raises:
            DataError: Files are missing or damaged.
        """

    @cached_property
    def splits(self) -> Splits:
        """The data sets behind the loaders, their targets checked against the facts.

        Raises:
            DataError: As in :meth:`load`; a target is not one that the facts promise.
        """
        splits = Splits(*(as_sequences(part) for part in self.load()))
        for part, data in zip(("training", "validation", "test"), splits, strict=True):
            self.facts.target.check(data.y, part)
        return splits

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (D,) float32 of each channel, over all valid steps of the
        training data and nothing else.

        Raises:
            DataError: The data are not real-valued, or a value is not finite.
        """
        return statistics(self.splits.train, self.facts.channels)

    def known(self) -> dict[str, Any]:
        """Options that say what was found in the files where a recipe does not: a run keeps them,
        so that its network can be built without the data."""
        return {}

    def members(self) -> list[tuple[str, str, str, str]]:
        """Name, class, group and part (train, val or test) of each item, where items have names: a
        run keeps them."""
        return []

    def read(self, file: Path) -> list[tuple[str, SequenceBatch]]:
        """Read a file of the kind that the data set is made of, for a network to predict from.

        Returns:
            Name and a batch of one, its targets without meaning, for each sequence in the file.

        Raises:
            DataError: the data set is not made of single files, or this one is damaged or has
                other channels.
        """
        raise DataError(
            f"{type(self).__name__} reads no single files; spikescan.load(run).predict takes a "
            "tensor, as the data set gives it"
        )

    def tell_cut(self, file: Path, samples: int, most: int) -> None:
        """Note that a file to predict from is longer than sequences of the training may be."""
        if samples > most:
            self.notes.append(f"{file}: of {samples:,} samples the first {most:,} are read")

    def setup(self, stage: str | None = None) -> None:
        """Read the data, if that has not happened; called by Lightning."""
        _ = self.splits

    def train_dataloader(self) -> DataLoader[SequenceBatch]:
        """Return the shuffled training data.

        Outside Lightning, call ``loader.sampler.set_epoch(epoch)`` before each epoch.
        """
        data = self.splits.train
        sampler = EpochSampler(
            len(data), seed=self.seed, lengths=data.lengths, batch_size=self.batch_size
        )
        return self._loader(data, sampler)

    def val_dataloader(self) -> DataLoader[SequenceBatch]:
        """Return the validation data in a fixed order."""
        return self._loader(self.splits.val)

    def test_dataloader(self) -> DataLoader[SequenceBatch]:
        """Return the test data in a fixed order."""
        return self._loader(self.splits.test)

    def _loader(
        self, data: Sequences, sampler: EpochSampler | None = None
    ) -> DataLoader[SequenceBatch]:
        return _Loader(
            data,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            collate_fn=_as_it_is,
            # Its own generator: otherwise each pass draws from the global one, and the presence
            # of validation would change the dropout of a training run.
            generator=torch.Generator().manual_seed(self.seed),
        )


class _Loader(DataLoader[SequenceBatch]):
    """A loader that starts a pass when the first batch is asked for."""

    # When Lightning resumes a run it makes the iterator before it tells the sampler the epoch.
    # Workers would by then have batches of epoch 0 ready. A generator starts on first use.
    def __iter__(self) -> Iterator[SequenceBatch]:  # type: ignore[override]
        yield from super().__iter__()


def _as_it_is(batch: Any) -> Any:
    # The data set has made the batch already; see Sequences.
    return batch


def at_least(name: str, value: float, low: float) -> None:
    """Raise ``ValueError`` naming the argument when the value is below ``low``."""
    if value < low:
        raise ValueError(f"{name} must be at least {low}, got {value}")
