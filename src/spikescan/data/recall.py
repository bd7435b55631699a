"""Memory over any length: recall a symbol after a delay, or one that is marked among others."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Classes, Facts
from spikescan.data.memory import Sequences
from spikescan.data.module import SequenceData, Splits, at_least

_BLANK, _CUE, _FIRST = 0, 1, 2


class Recall(SequenceData):
    """Name a symbol that was seen long ago: x (B, T) tokens, one class a symbol.

    "delayed": the first token is the symbol, what follows is blank: there are as many different
    sequences as symbols, and all parts have the same ones. "selective": every token is a
    symbol, one of them, at a random place in the first half, is marked and is the answer. The last
    token asks. Token 0 is blank, 1 asks, then come the symbols, and the marked ones after them.
    Sequences are generated as batches are made, so that length costs no memory; a sequence is the
    same in every epoch. Validation and test part have a quarter of the training part's size.

    Args:
        root: Not used, as the data are generated; here so that all data modules take it.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 prepares them in the main process.
        seed: Seed of the data and of their order.
        kind: What is to be remembered.
        length: Number of steps of a sequence.
        symbols: Number of symbols.
        samples: Number of training sequences.

    Raises:
        ValueError: An argument is out of range.

    >>> data = Recall(length=6, symbols=4, samples=8)
    >>> batch = data.splits.train.batch(torch.arange(2), 0)
    >>> bool((batch.x[:, 0] == batch.y + 2).all()), batch.x[0, 1:].tolist()
    (True, [0, 0, 0, 0, 1])
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        kind: Literal["delayed", "selective"] = "delayed",
        length: int = 1_024,
        symbols: int = 8,
        samples: int = 2_048,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        if kind not in ("delayed", "selective"):
            raise ValueError(f"kind must be 'delayed' or 'selective', got {kind!r}")
        at_least("length", length, 4)
        at_least("symbols", symbols, 2)
        at_least("samples", samples, 4)
        self.kind: Literal["delayed", "selective"] = kind
        self.length, self.symbols, self.samples = length, symbols, samples

    @property
    def facts(self) -> Facts:
        """Blank, question, symbols and marked symbols are the tokens; symbols are the classes."""
        return Facts(
            Classes(tuple(str(symbol) for symbol in range(self.symbols))),
            length=self.length,
            vocabulary=_FIRST + 2 * self.symbols,
        )

    def load(self) -> Splits:
        """Say what the three parts are; nothing is generated yet."""
        sizes = (self.samples, self.samples // 4, self.samples // 4)
        return Splits(*(_Generated(self, part, size) for part, size in enumerate(sizes)))


class _Generated(Sequences):
    def __init__(self, data: Recall, part: int, size: int) -> None:
        super().__init__(torch.arange(size) % data.symbols)
        self.kind, self.length, self.symbols = data.kind, data.length, data.symbols
        self.seed, self.part = data.seed, part

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        x = torch.full((len(rows), self.length), _BLANK)
        for i, row in enumerate(rows.tolist()):
            answer = int(self.y[row])
            if self.kind == "delayed":
                x[i, 0] = _FIRST + answer
            else:
                rng = np.random.default_rng((self.seed, self.part, row))
                others = rng.integers(_FIRST, _FIRST + self.symbols, self.length)
                x[i] = torch.from_numpy(others)
                x[i, int(rng.integers(self.length // 2))] = _FIRST + self.symbols + answer
        x[:, -1] = _CUE
        return SequenceBatch(x, self.y[rows])
