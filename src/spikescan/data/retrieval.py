"""Do two papers cite each other? Retrieval of the Long Range Arena."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch

from spikescan.data.facts import Facts, PairClasses
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.pairs import PairSequences
from spikescan.data.prepared import Arrays, prepared
from spikescan.data.root import DataError
from spikescan.data.sources import find_source, require
from spikescan.data.tokens import TokenSequences

_END = 257
_VERSION = 1


class Retrieval(SequenceData):
    """Do two papers of the ACL Anthology cite one another? Two texts as bytes, 2 classes.

    x (2B, T) bytes with lengths, of which rows 2i and 2i + 1 belong to y[i]. A byte b is token
    b + 1, 0 is the padding and 257 the end of a text. 147,086 pairs for training, 18,090 for
    validation and 17,437 for the test, as the Long Range Arena gives them.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Pairs in a batch.
        workers: Processes that prepare batches; 0 is fine, as all data are in memory.
        seed: Seed of the order of the training data.
        max_length: Steps of the longest text, the end counted.

    Raises:
        ValueError: An argument is out of range.

    Source: Tay et al. 2020 (arXiv 2011.04006), section 2.4.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        max_length: int = 4_000,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("max_length", max_length, 2)
        self.max_length = max_length

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return "aan"

    @property
    def facts(self) -> Facts:
        """Tokens are bytes, padding and the end."""
        return Facts(
            PairClasses(("unrelated", "citing")), length=self.max_length, vocabulary=_END + 1
        )

    def load(self) -> Splits:
        """Read the three files of pairs."""
        source = find_source("aan")
        folder = require(source, self.root)
        return Splits(*(self._part(folder / group[0]) for group in source.brought))

    def _part(self, path: Path) -> PairSequences:
        kept = prepared("aan", (_VERSION, path), lambda: _read(path))
        sizes = torch.from_numpy(kept["sizes"])
        pool = TokenSequences(
            torch.from_numpy(kept["x"]),
            sizes,
            torch.zeros(len(sizes), dtype=torch.int64),
            max_length=self.max_length,
            offset=1,
            end=_END,
        )
        return PairSequences(pool, torch.from_numpy(kept["pairs"]), torch.from_numpy(kept["y"]))


def _read(path: Path) -> Arrays:
    """Read rows of label, two names and two texts; a text that is named twice is kept once."""
    numbers: dict[bytes, int] = {}
    pairs: list[tuple[int, int]] = []
    classes: list[int] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            for row in lines:
                where = f"{path}: line {lines.line_num}"
                if len(row) != 5 or row[0] not in ("0", "1", "0.0", "1.0"):
                    raise DataError(f"{where} must be a label, two names and two texts")
                texts = [text.encode() for text in row[3:]]
                if not all(texts):
                    raise DataError(f"{where} has an empty text")
                first, second = (numbers.setdefault(text, len(numbers)) for text in texts)
                pairs.append((first, second))
                classes.append(int(row[0][0]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not pairs:
        raise DataError(f"{path} has no pairs")
    return {
        "x": np.frombuffer(b"".join(numbers), np.uint8),
        "sizes": np.array([len(text) for text in numbers]),
        "pairs": np.array(pairs),
        "y": np.array(classes),
    }
