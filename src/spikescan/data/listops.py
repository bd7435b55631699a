"""ListOps: nested operations on lists of digits, from the Long Range Arena."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import torch

from spikescan.data.facts import Classes, Facts
from spikescan.data.listops_trees import END, TOKENS, draw
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.prepared import Arrays, prepared
from spikescan.data.root import DataError, data_root
from spikescan.data.tokens import TokenSequences

_VERSION = 1
_BLOCK = 4096  # trees drawn at a time, each block from its own stream of random numbers
_PARTS = ("train", "val", "test")
_RELEASED = 2_048


class ListOps(SequenceData):
    """Evaluate nested MIN, MAX, MED and SM of digits: x (B, T) tokens with lengths, 10 classes.

    A sequence such as ``[MAX 2 9 [MIN 4 7 ] 0 ]`` has its value, here 9, as its class. The root is
    an operator; each argument is an operator with probability 1/4 and a digit otherwise, at the
    largest depth always a digit; operators, digits and the number of arguments, from 2, are
    uniform. MED is the median rounded down, SM the sum modulo 10. Sequences of more than
    ``shortest`` and fewer than ``longest`` tokens are kept, brackets counted, no two alike. A
    symbol marks the end. The sequences are generated at the first use and kept.

    Args:
        root: Folder of all data sets, for ``released``.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data. The sequences are the same for every seed.
        samples: Number of training sequences.
        held_out: Number of validation sequences, and of test sequences.
        shortest: Tokens that every sequence has more of.
        longest: Tokens that every sequence has fewer of.
        depth: Largest depth, that of the root being 1.
        arguments: Largest number of arguments.
        released: Read the files of the Long Range Arena instead, ``listops/basic_train.tsv``,
            ``basic_val.tsv`` and ``basic_test.tsv`` below the root, cut at 2,048 tokens; what is
            said about the generated ones is then not used.

    Raises:
        ValueError: An argument is out of range.

    Source: Tay et al. 2020 (arXiv 2011.04006), section 2.2; Nangia and Bowman 2018 (1804.06028).
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        samples: int = 96_000,
        held_out: int = 2_000,
        shortest: int = 500,
        longest: int = 2_000,
        depth: int = 10,
        arguments: int = 10,
        released: bool = False,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("samples", samples, 1)
        at_least("held_out", held_out, 1)
        at_least("shortest", shortest, 3)
        at_least("longest", longest, shortest + 2)
        at_least("depth", depth, 2)
        at_least("arguments", arguments, 2)
        self.samples, self.held_out = samples, held_out
        self.shortest, self.longest = shortest, longest
        self.depth, self.arguments = depth, arguments
        self.released = released

    @property
    def source(self) -> str | None:
        """Where the data are; see :attr:`SequenceData.source`."""
        return "listops" if self.released else None

    @property
    def facts(self) -> Facts:
        """Seventeen tokens: padding, digits, operators, a bracket and the end; ten values."""
        length = _RELEASED if self.released else self.longest
        return Facts(Classes(tuple("0123456789")), length=length, vocabulary=len(TOKENS))

    def load(self) -> Splits:
        """Generate or read the three parts, unless they are kept from an earlier use."""
        if self.released:
            folder = data_root(self.root) / "listops"
            parts = [_released(folder / f"basic_{part}.tsv") for part in _PARTS]
        else:
            rules = (self.depth, self.arguments, self.shortest, self.longest)
            key = (_VERSION, self.samples, self.held_out, *rules)
            whole = prepared("listops", key, self._generate)
            ends = np.cumsum(whole["sizes"])
            first, parts = 0, []
            for size in (self.samples, self.held_out, self.held_out):
                rows = slice(first, first + size)
                begin = 0 if not first else ends[first - 1]
                x = whole["x"][begin : ends[first + size - 1]]
                parts.append({"x": x, "sizes": whole["sizes"][rows], "y": whole["y"][rows]})
                first += size
        length = self.facts.length
        return Splits(
            *(
                TokenSequences(
                    *(torch.from_numpy(part[name]) for name in ("x", "sizes", "y")),
                    max_length=length,
                    end=END,
                )
                for part in parts
            )
        )

    def _generate(self) -> Arrays:
        wanted = self.samples + 2 * self.held_out
        tokens: list[np.ndarray] = []
        values: list[int] = []
        seen: set[bytes] = set()
        block = 0
        while len(tokens) < wanted:
            trees = draw(
                np.random.default_rng(block),
                _BLOCK,
                depth=self.depth,
                arguments=self.arguments,
                shortest=self.shortest,
                longest=self.longest,
            )
            block += 1
            before = len(tokens)
            ends = np.cumsum(trees.sizes)
            for end, size, value in zip(ends, trees.sizes, trees.values, strict=True):
                text = trees.tokens[end - size : end]
                mark = hashlib.blake2b(text.tobytes(), digest_size=16).digest()
                if mark not in seen:
                    seen.add(mark)
                    tokens.append(text)
                    values.append(int(value))
            if len(tokens) == before and block > 100:
                raise ValueError(
                    f"longest, depth and arguments leave too few sequences: {len(tokens):,} of "
                    f"{wanted:,} were found among {block * _BLOCK:,}"
                )
        del tokens[wanted:], values[wanted:]
        return {
            "x": np.concatenate(tokens),
            "sizes": np.array([len(text) for text in tokens]),
            "y": np.array(values),
        }


def _released(path: Path) -> Arrays:
    """Read a file with the columns Source and Target; round brackets carry no meaning."""
    codes = {name: code for code, name in enumerate(TOKENS)}
    tokens: list[list[int]] = []
    values: list[int] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            next(lines, None)
            for row in lines:
                where = f"{path}: line {lines.line_num}"
                if len(row) != 2 or not (row[1].isdigit() and int(row[1]) < 10):
                    raise DataError(f"{where} must be a sequence, a tab and a digit")
                words = [word for word in row[0].split() if word not in ("(", ")")]
                if unknown := [w for w in words if codes.get(w, 0) not in range(1, END)]:
                    raise DataError(f"{where} has the unknown token {unknown[0]!r}")
                if not words:
                    raise DataError(f"{where} has no tokens")
                tokens.append([codes[word] for word in words])
                values.append(int(row[1]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read ({error}); it is part of the Long Range Arena, "
            "https://storage.googleapis.com/long-range-arena/lra_release.gz"
        ) from error
    if not tokens:
        raise DataError(f"{path} has no sequences")
    return {
        "x": np.concatenate([np.array(row, np.uint8) for row in tokens]),
        "sizes": np.array([len(row) for row in tokens]),
        "y": np.array(values),
    }
