"""Text files, cut into stretches whose every next token is to be named."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Facts, NextToken, Unit, split_words
from spikescan.data.memory import Sequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.root import DataError, content_of, find_file


class Stretches(Sequences):
    """A text as rows of equal length: x (B, T) are tokens, y (B, T) those that follow each.

    The text is first cut into as many streams as told, and these into stretches; rows of one batch
    are the same stretch of all streams, and those of the next batch go on from there.

    Args:
        tokens: The text (N + 1,), whole numbers of any dtype.
        length: Steps T of a row.
        streams: Rows that are read side by side; 1 cuts the text as it stands.
        whole: Keep what fills no row, padded; otherwise it is left out.
    """

    def __init__(self, tokens: Tensor, *, length: int, streams: int = 1, whole: bool) -> None:
        count = len(tokens) - 1
        size = -(-count // streams) if whole else count // streams
        rows = -(-size // length) if whole else size // length
        shape, stride = (rows, streams, length), (length, size, 1)
        reach = (streams - 1) * size + rows * length + 1
        tokens = F.pad(tokens, (0, max(0, reach - len(tokens))))
        # (rows * streams, T), in the order in which they are read.
        self.x, y = (tokens.as_strided(shape, stride, at).flatten(0, 1) for at in (0, 1))
        begin = torch.arange(rows)[:, None] * length
        ends = (count - torch.arange(streams) * size).clamp(0, size)
        lengths = (ends - begin).clamp(0, length).flatten()
        super().__init__(y, None if bool((lengths == length).all()) else lengths)

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        """Return these rows; the epoch has no influence."""
        lengths = None if self.lengths is None else self.lengths[rows]
        return SequenceBatch(self.x[rows].long(), self.y[rows].long(), lengths)


class Text(SequenceData):
    """Name the next byte, character or word of a text: x (B, T) are tokens, y (B, T) the next.

    Bytes are 256 tokens. Characters are those that the text has, sorted. Words are what stands
    between white space, ``<eos>`` for each end of a line; their vocabulary is that of the training
    part and ``<unk>``, which all others become.

    Carried, the training text is read in ``batch_size`` streams side by side, from their start to
    their end: each row of a batch goes on where it ended in the batch before, and a network may
    carry its state along. Otherwise stretches are drawn in random order and each stands alone.

    Args:
        path: The text, from the current folder or below the folder of all data sets.
        val_path: The validation text; without it ``path`` is cut into three parts that follow each
            other.
        test_path: The test text, together with ``val_path``.
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Stretches in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training stretches, where they are not carried.
        unit: What one token is.
        length: Steps T of a stretch.
        carried: Read streams in order.
        train: Share of the tokens for training, where there is one file.
        val: Share for validation.
        test: Share for the test.
        names: The characters of the vocabulary, where the unit is one; without it those that the
            text has.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        *,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        unit: Unit = "character",
        length: int = 256,
        carried: bool = True,
        train: float = 0.9,
        val: float = 0.05,
        test: float = 0.05,
        names: list[str] | None = None,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("length", length, 1)
        if (val_path is None) != (test_path is None):
            raise ValueError("val_path and test_path must be given together")
        if min(train, val, test) <= 0 or train + val + test > 1 + 1e-9:
            raise ValueError(
                "train, val and test must be positive shares that add up to at most 1, got "
                f"{train}, {val} and {test}"
            )
        self.paths = (
            (path,) if val_path is None or test_path is None else (path, val_path, test_path)
        )
        if names is not None and (unit != "character" or len({*names}) < len(names)):
            raise ValueError(f"names must be different characters, where unit is one, got {unit}")
        self.names = names
        self.unit: Unit = unit
        self.length, self.carried = length, carried
        self.shares = (train, val, test)

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return self.paths[0]

    @property
    def facts(self) -> Facts:
        """The vocabulary, for which the text is read unless its tokens are bytes, or given."""
        given = None if self.names is None else tuple(self.names)
        names = _BYTES if self.unit == "byte" else given or self._text.names
        target = NextToken(names, self.unit, self.carried)
        return Facts(target, length=self.length, vocabulary=len(names))

    def known(self) -> dict[str, Any]:
        """The characters; see :meth:`SequenceData.known`. Words are too many for a recipe."""
        return {"names": list(self.facts.target.names)} if self.unit == "character" else {}  # type: ignore[attr-defined]

    def members(self) -> list[tuple[str, str, str, str]]:
        """The files and their content; see :meth:`SequenceData.members`."""
        files = [find_file(path, self.root) for path in self.paths]
        parts = ("train", "val", "test") if len(files) == 3 else ("",)
        return [
            (f"{part} {file.name}".strip(), "", "", content_of(file))
            for part, file in zip(parts, files, strict=True)
        ]

    @property
    def size(self) -> int:
        """Number of tokens of the text, which is read for it."""
        return sum(len(part) for part in self._text.parts)

    def load(self) -> Splits:
        """Read the text and cut it into stretches."""
        parts: list[Stretches] = []
        for name, tokens in zip(("training", "validation", "test"), self._text.parts, strict=True):
            first = name == "training"
            streams = self.batch_size if self.carried else 1
            least = streams * self.length + 1 if first else streams + 1
            if len(tokens) < least:
                raise DataError(
                    f"the {name} text of {self.paths[0]} has {len(tokens):,} {self.unit}s, fewer "
                    f"than the {least:,} that {streams} streams of {self.length} steps need"
                )
            parts.append(Stretches(tokens, length=self.length, streams=streams, whole=not first))
        return Splits(*parts)

    def train_dataloader(self) -> DataLoader[SequenceBatch]:
        """Return the training data: streams in their order, or stretches shuffled."""
        return self._loader(self.splits.train) if self.carried else super().train_dataloader()

    @cached_property
    def _text(self) -> _Tokens:
        files = [find_file(path, self.root) for path in self.paths]
        if self.unit == "byte":
            return _bytes([np.fromfile(file, np.uint8) for file in files], self.shares)
        texts = [_decoded(file) for file in files]
        if self.unit == "word":
            return _words(texts, self.shares)
        return _characters(texts, self.shares, self.names, self.paths[0])


class _Tokens(NamedTuple):
    names: tuple[str, ...]
    parts: list[Tensor]


Shares = tuple[float, float, float]
P = TypeVar("P", list[str], NDArray[np.uint8], NDArray[np.uint32])

_BYTES = tuple(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in range(256))


def _decoded(file: Path) -> str:
    try:
        text = file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is no UTF-8 text (byte {error.start:,}); unit=byte reads any file"
        ) from None
    if text and not text.strip():
        raise DataError(f"{file} holds nothing but white space; unit=byte reads any file")
    return text


def _cut(files: list[P], shares: Shares) -> list[P]:
    """The three parts: three files, or one that is cut."""
    if len(files) == 3:
        return files
    (whole,) = files
    ends = [round(sum(shares[:i]) * len(whole)) for i in range(4)]
    return [whole[a:b] for a, b in pairwise(ends)]


def _bytes(files: list[NDArray[np.uint8]], shares: Shares) -> _Tokens:
    return _Tokens(_BYTES, [torch.from_numpy(part) for part in _cut(files, shares)])


def _characters(texts: list[str], shares: Shares, names: list[str] | None, path: str) -> _Tokens:
    """The parts in numbers, which must be of characters among the names."""
    codes: list[NDArray[np.uint32]] = [
        np.frombuffer(text.encode("utf-32-le"), np.uint32) for text in texts
    ]
    used = np.unique(np.concatenate(codes))
    if names is not None:
        given = np.unique(np.array([ord(name) for name in names], np.uint32))
        if len(strange := np.setdiff1d(used, given)):
            raise DataError(
                f"{path}: the character {chr(strange[0])!r} is not among the names of the recipe; "
                "train a new run with it"
            )
        used = given
    parts = [np.searchsorted(used, part) for part in _cut(codes, shares)]
    return _Tokens(tuple(map(chr, used.tolist())), [_compact(p, len(used)) for p in parts])


def _words(texts: list[str], shares: Shares) -> _Tokens:
    parts = _cut([split_words(text) for text in texts], shares)
    names = tuple(sorted({*parts[0], "<unk>"}))
    number = {name: i for i, name in enumerate(names)}
    unknown = number["<unk>"]
    tokens = [np.array([number.get(word, unknown) for word in part]) for part in parts]
    return _Tokens(names, [_compact(part, len(names)) for part in tokens])


def _compact(tokens: NDArray[np.int64], vocabulary: int) -> Tensor:
    return torch.from_numpy(tokens.astype(np.uint8 if vocabulary <= 256 else np.int32))
