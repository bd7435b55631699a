"""What a run's network says of files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from spikescan.data import SequenceBatch, SequenceData
from spikescan.errors import UsageError
from spikescan.models.scale import Scale
from spikescan.tasks import Task
from spikescan.train.trained import load_with_data

_FAR = 20.0


@torch.no_grad()
def predictions(run: str | Path, files: Sequence[str | Path]) -> list[dict[str, Any]]:
    """What a run's network says of each sequence in files of the kind that it was trained on.

    Returns:
        For each: ``name``, ``prediction`` in words, and what the task gives besides, such as
        ``class`` and ``probability``.

    Raises:
        UsageError: there is no such run or file.
        DataError: a file is damaged, of another kind, or has other channels or another rate.
    """
    task, data = load_with_data(run)
    found: list[dict[str, Any]] = []
    notes: list[str] = []
    for file in map(Path, files):
        if file.is_dir():
            raise UsageError(f"{file} is a folder; name the files in it")
        if not file.is_file():
            raise UsageError(f"there is no file {file}")
        for name, batch in data.read(file):
            notes += _far(task, data, name, batch)
            out = task(batch.x, batch.lengths)
            found += [{"name": name, **_timed(answer, data)} for answer in task.answers(out)]
    for note in [*data.notes, *notes]:
        print(note, file=sys.stderr, flush=True)
    return found


def _far(task: Task, data: SequenceData, name: str, batch: SequenceBatch) -> list[str]:
    """What to say of channels whose values are far from those of training, most of them by more
    than ``_FAR`` standard deviations: they may be in another unit."""
    scale, x = next((m for m in task.modules() if isinstance(m, Scale)), None), batch.x
    if scale is None or x.ndim != 3 or x.shape[2] != scale.features:
        return []
    inside = x[0] if batch.lengths is None else x[0, : int(batch.lengths[0])]
    off = ((inside - scale.mean) / scale.std).abs().median(0).values
    names = data.facts.channels or [*map(str, range(len(off)))]
    return [
        f"{name}: the values of {names[c]}, about {float(inside[:, c].median()):.4g}, are far from "
        f"those of training, {float(scale.mean[c]):.4g} ± {float(scale.std[c]):.4g}; another unit?"
        for c in (off > _FAR).nonzero().flatten().tolist()
    ]


def _timed(answer: dict[str, Any], data: SequenceData) -> dict[str, Any]:
    """An answer with the times of the steps that it forecasts, where the file tells them."""
    if "forecast" not in answer:
        return answer
    return {**answer, "forecast": {**data.ahead, **answer["forecast"]}}
