"""``spikescan predict``."""

from __future__ import annotations

import csv as csv_
import json as json_
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spikescan.errors import UsageError


def predict(run: Path, *files: Path, json: bool = False, csv: bool = False) -> int:
    """What a run's network says of files of the kind that it was trained on.

    The data set is not needed: classes, channels and rates are those that the run keeps.

    Args:
        run: folder of a run, one of its checkpoint files, or a name of `spikescan zoo`
        files: files to predict from
        json: print a list of objects
        csv: print a table, one line a sequence
    """
    from spikescan.cli.run import quiet
    from spikescan.data.root import DataError
    from spikescan.train.predict import predictions

    quiet()
    if json and csv:
        raise UsageError("--json and --csv exclude each other")
    if not files:
        raise UsageError("which files? usage: spikescan predict RUN FILES... [--json | --csv]")
    try:
        found = predictions(run, files)
    except DataError as error:
        if not error.option:
            raise
        raise DataError(f"{error}; these are options of training: mend the file") from error
    if json:
        print(json_.dumps(found, indent=2))
    elif csv:
        _table(found)
    else:
        for one in found:
            print(f"{one['name']}: {one['prediction']}")
    return 0


def _table(found: list[dict[str, Any]]) -> None:
    """One line a sequence, or a step of its forecast; dictionaries become columns."""
    rows = [row for one in found for row in _rows(one)]
    writer = csv_.DictWriter(sys.stdout, list(dict.fromkeys(k for row in rows for k in row)))
    writer.writeheader()
    writer.writerows(rows)


def _rows(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    flat = {k: v for k, v in one.items() if not isinstance(v, dict)}
    inner = {k: v for part in one.values() if isinstance(part, dict) for k, v in part.items()}
    if any(isinstance(value, list) for value in inner.values()):
        for step, values in enumerate(zip(*inner.values(), strict=True), 1):
            yield {"name": one["name"], "step": step, **dict(zip(inner, values, strict=True))}
    else:
        yield {**flat, **{f"p({k})": v for k, v in inner.items()}}
