"""What a run's network says of files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from spikescan.data import SequenceData
from spikescan.errors import UsageError
from spikescan.train.trained import load_with_data


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
    for file in map(Path, files):
        if file.is_dir():
            raise UsageError(f"{file} is a folder; name the files in it")
        if not file.is_file():
            raise UsageError(f"there is no file {file}")
        for name, batch in data.read(file):
            out = task(batch.x, batch.lengths)
            found += [{"name": name, **_timed(answer, data)} for answer in task.answers(out)]
    for note in data.notes:
        print(note, file=sys.stderr, flush=True)
    return found


def _timed(answer: dict[str, Any], data: SequenceData) -> dict[str, Any]:
    """An answer with the times of the steps that it forecasts, where the file tells them."""
    if "forecast" not in answer:
        return answer
    return {**answer, "forecast": {**data.ahead, **answer["forecast"]}}
