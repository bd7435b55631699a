"""A language model on texts of other lengths than those of its training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from spikescan.data.text import Stretches, Text
from spikescan.errors import UsageError
from spikescan.models import Network
from spikescan.tasks.language import Language
from spikescan.train.trained import load_with_data, trained_recipe

_CHUNK = 256
"""Steps that are computed at once; the state goes on from there."""
_LOGITS = 2**25
"""Numbers that the logits of a chunk may have."""


class Point(NamedTuple):
    """How well the next token is known in stretches of one length."""

    length: int
    value: float
    """Over all tokens, perplexity of words, else bits a token."""
    last_eighth: float
    """The same over the last eighth of each stretch."""


class Lengths(NamedTuple):
    """A network on several lengths, each time the same text."""

    unit: str
    trained_length: int
    tokens: int
    points: list[Point]

    def to_dict(self) -> dict[str, Any]:
        return {**self._asdict(), "points": [point._asdict() for point in self.points]}


@torch.no_grad()
def by_length(run: str | Path, lengths: Sequence[int]) -> Lengths:
    """Read the test text of a run in stretches of each length, each from rest.

    All lengths read the same tokens: as many as fill stretches of the longest.

    Args:
        run: a run of a language model, see :func:`spikescan.load`.
        lengths: steps of a stretch, each a divisor of the largest.

    Raises:
        UsageError: the run is of another task, or the lengths do not divide the largest.
        DataError: the test text is not here.
    """
    longest = max(lengths, default=0)
    if not longest or any(length < 8 or longest % length for length in lengths):
        raise UsageError(f"the lengths must be at least 8 and divide the largest, got {[*lengths]}")
    task, data = load_with_data(run)
    if not isinstance(task, Language) or not isinstance(data, Text):
        raise UsageError(
            f"{run} is no language model of a text: it is a {type(task).__name__} of "
            f"{type(data).__name__}"
        )
    # As one stream, whose stretches follow each other.
    test = trained_recipe(run, ["--data.carried=false"]).data.splits.test
    assert isinstance(test, Stretches)
    count = test.x.numel() if test.lengths is None else int(test.lengths.sum())
    count -= count % longest
    if not count:
        raise UsageError(f"the test text has fewer tokens than a stretch of {longest:,}")
    x, y = (part.flatten()[:count].long() for part in (test.x, test.y))
    vocabulary = len(task.target.names)
    rows = max(1, _LOGITS // (_CHUNK * vocabulary))
    points: list[Point] = []
    for length in lengths:
        by_step = torch.zeros(length, dtype=torch.float64)
        for part in range(0, count // length, rows):
            at = slice(part * length, min(count, (part + rows) * length))
            by_step += _surprise(task.model, x[at].view(-1, length), y[at].view(-1, length))
        by_step /= count // length
        late = by_step[-(length // 8) :]
        points.append(Point(length, *(_told(task, v) for v in (by_step.mean(), late.mean()))))
    unit = task.headline.words
    return Lengths(unit, int(task.trained_length), count, points)


def _surprise(model: Network, x: Tensor, y: Tensor) -> Tensor:
    """-log p of y (B, T) at each step, summed over the rows (T,)."""
    state, found = None, []
    for now, due in zip(x.split(_CHUNK, 1), y.split(_CHUNK, 1), strict=True):
        out, state = model(now, state)
        nats = F.cross_entropy(out.transpose(1, 2), due, reduction="none")
        found.append(nats.double().sum(0))
    return torch.cat(found)


def _told(task: Language, nats: Tensor) -> float:
    mean = float(nats)
    return math.exp(mean) if task.target.unit == "word" else mean / math.log(2)
