"""The metrics of a run as a CSV file: a row for each phase of each epoch."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from spikescan.errors import UsageError
from spikescan.report import read_history
from spikescan.train.folder import RunFolder
from spikescan.train.whole import whole


class MetricsFile(Logger):
    """Keeps all rows and writes the whole file each time, so that none is ever lost."""

    path: Path
    """Where to; for the first process only, which alone writes."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []

    @property
    def name(self) -> None:
        return None

    @property
    def version(self) -> None:
        return None

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Those are in the run's ``config.yaml``."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.rows.append({**metrics, "step": step})

    @rank_zero_only
    def save(self) -> None:
        with whole(self.path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, sorted({key for row in self.rows for key in row}))
            writer.writeheader()
            writer.writerows(self.rows)


def rows_until(folder: RunFolder, epoch: int) -> list[dict[str, Any]]:
    """Rows of a run's metrics up to this epoch, the first being 0.

    Raises:
        UsageError: the file is damaged.
    """
    if not folder.metrics.is_file():
        return []
    check_metrics(folder)
    with folder.metrics.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if row["epoch"] and float(row["epoch"]) <= epoch]


def check_metrics(folder: RunFolder) -> None:
    """Raise a `UsageError` if the metrics of a run cannot be read."""
    if folder.metrics.is_file():
        try:
            read_history(folder.metrics)
        except (ValueError, csv.Error, OSError) as error:
            raise UsageError(
                f"{folder.metrics} is damaged ({error}); mend it, or remove it to do without"
            ) from error
