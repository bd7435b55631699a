"""The Large Movie Review Dataset, byte by byte: Text of the Long Range Arena."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import numpy as np
import torch

from spikescan.data.archive import members
from spikescan.data.facts import Classes, Facts
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.parts import chosen
from spikescan.data.prepared import Arrays, prepared
from spikescan.data.root import DataError
from spikescan.data.sources import brought
from spikescan.data.split import stratified_split
from spikescan.data.tokens import TokenSequences

_CLASSES = ("negative", "positive")
_FOLDERS = ("neg", "pos")
_END = 257
_VERSION = 1


class IMDB(SequenceData):
    """Is a film review in favour? x (B, T) bytes with lengths, 2 classes.

    25,000 reviews for training and 25,000 for the test, of 32 to 13,704 bytes. A byte b is token
    b + 1, 0 is the padding and 257 the end of a review. A review of more than ``max_length - 1``
    bytes is cut. Training batches gather reviews of similar length.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fine, as all data are in memory.
        seed: Seed of the order of the training data.
        max_length: Steps of the longest sequence, the end counted.
        validation: Which reviews choose the epoch that is kept. "train" holds out a tenth of the
            training reviews, the same for every seed. "test" takes the test set, as the
            Long Range Arena figures of S4 and its successors do: all 25,000 reviews train, and
            the figure is optimistic.
        limit: Use only this many training reviews, the same for every seed; for quick runs.

    Raises:
        ValueError: An argument is out of range.

    Source: Maas et al. 2011; as a task of long sequences Tay et al. 2020 (arXiv 2011.04006).
    """

    reviews: ClassVar[int] = 12_500
    """Number of reviews of each class in each of the two parts."""

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        max_length: int = 4_096,
        validation: Literal["train", "test"] = "train",
        limit: int | None = None,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("max_length", max_length, 2)
        if validation not in ("train", "test"):
            raise ValueError(f"validation must be 'train' or 'test', got {validation!r}")
        if limit is not None:
            at_least("limit", limit, 1)
        self.max_length = max_length
        self.validation = validation
        self.limit = limit

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return "imdb"

    @property
    def facts(self) -> Facts:
        """Tokens are bytes, padding and the end."""
        return Facts(Classes(_CLASSES), length=self.max_length, vocabulary=_END + 1)

    def load(self) -> Splits:
        """Read the reviews, from an archive or the folder it unpacks to."""
        place = brought("imdb", self.root)
        kept = prepared("imdb", (_VERSION, place, self.reviews), lambda: self._read(place))
        train = self._part(kept, "train")
        test = self._part(kept, "test")
        if self.validation == "test":
            rows = torch.randperm(len(train.y), generator=torch.Generator().manual_seed(0))
            return Splits(chosen(train, rows[: self.limit]), test, test)
        rest, held = stratified_split(train.y, 0.1)
        return Splits(chosen(train, rest[: self.limit]), chosen(train, held), test)

    def _part(self, kept: Arrays, part: str) -> TokenSequences:
        return TokenSequences(
            torch.from_numpy(kept[f"{part}_x"]),
            torch.from_numpy(kept[f"{part}_sizes"]),
            torch.arange(2).repeat_interleave(self.reviews),
            max_length=self.max_length,
            offset=1,
            end=_END,
        )

    def _read(self, place: Path) -> Arrays:
        """Return the bytes and the sizes of both parts, negative reviews first, by name."""
        found: dict[tuple[str, str], dict[str, bytes]] = {}
        for name, content in members(place, suffix=".txt", largest=1 << 20):
            *_, part, kind, file = ("", "", *PurePosixPath(name).parts)
            if part in ("train", "test") and kind in _FOLDERS:
                if not content:
                    raise DataError(f"{place}: {name} is empty")
                found.setdefault((part, kind), {})[file] = content
        arrays: Arrays = {}
        for part in ("train", "test"):
            texts: list[bytes] = []
            for kind in _FOLDERS:
                reviews = found.get((part, kind), {})
                if len(reviews) != self.reviews:
                    raise DataError(
                        f"{place} has {len(reviews):,} reviews in {part}/{kind}, expected "
                        f"{self.reviews:,}; unpack or download it anew"
                    )
                texts += [reviews[file] for file in sorted(reviews)]
            arrays[f"{part}_x"] = np.frombuffer(b"".join(texts), np.uint8)
            arrays[f"{part}_sizes"] = np.array([len(text) for text in texts])
        return arrays
