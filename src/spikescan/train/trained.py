"""A trained network from what its run left."""

from __future__ import annotations

from pathlib import Path

import torch

from spikescan.data import SequenceData
from spikescan.errors import UsageError
from spikescan.tasks import Task
from spikescan.train.checkpoint import check_fits, read_checkpoint
from spikescan.train.folder import RunFolder
from spikescan.train.recipe import read_recipe


def load(run: str | Path) -> Task:
    """The trained network of a run, on the CPU and in evaluation mode.

    ``load(run).predict(x)`` answers in words; ``load(run).model`` is the network itself, whose
    ``step`` reads a sequence step by step. The data set is not read, and nothing is unpickled.

    Args:
        run: folder of a run, whose best checkpoint is taken, or one of its checkpoint files.

    Raises:
        UsageError: there is no such run, or its pieces do not belong together.

    >>> load("runs/nowhere")
    Traceback (most recent call last):
    ...
    spikescan.errors.UsageError: there is no run runs/nowhere
    """
    return load_with_data(run)[0]


def load_with_data(run: str | Path) -> tuple[Task, SequenceData]:
    """The trained network of a run, and its data, which are not read; see :func:`load`."""
    path = Path(run)
    if not path.exists():
        raise UsageError(f"there is no run {path}")
    folder = RunFolder(path if path.is_dir() else path.absolute().parent.parent)
    checkpoint = folder.best if path.is_dir() else path
    folder.require(folder.config, checkpoint)
    stored = read_checkpoint(checkpoint)
    if "state_dict" not in stored:
        raise UsageError(f"{checkpoint} is not the checkpoint of a run: it holds no state_dict")
    with torch.random.fork_rng(devices=[]):  # start values are drawn, and nobody asked for them
        task, data, options, _ = read_recipe(folder.config, program="spikescan.load")
    if options.trainer.precision in ("64-true", "64", 64):
        task = task.double()
    check_fits(task, checkpoint, stored)
    task.load_state_dict(stored["state_dict"])
    return task.eval(), data
