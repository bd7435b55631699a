"""A trained network from what its run left, from a file, or from the model zoo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from spikescan.data import SequenceData
from spikescan.errors import UsageError
from spikescan.tasks import Task
from spikescan.train.checkpoint import check_fits, read_checkpoint
from spikescan.train.folder import RunFolder
from spikescan.train.packed import SUFFIX, read_packed, unpack
from spikescan.train.recipe import Recipe, read_recipe
from spikescan.zoo import zoo


def load(run: str | Path) -> Task:
    """The trained network of a run, on the CPU and in evaluation mode.

    ``load(run).predict(x)`` answers in words; ``load(run).model`` is the network itself, whose
    ``step`` reads a sequence step by step. The data set is not read, and nothing is unpickled.

    Args:
        run: folder of a run, whose best checkpoint is taken, one of its checkpoint files, a file
            of ``spikescan pack``, or a name of ``spikescan zoo``. A path that exists goes before a
            name.

    Raises:
        UsageError: there is no such run, or its pieces do not belong together.

    >>> load("digits_dsn").model.causal
    True
    >>> load("runs/nowhere")
    Traceback (most recent call last):
    ...
    spikescan.errors.UsageError: there is no run runs/nowhere
    """
    return trained_recipe(run).task


def load_with_data(run: str | Path) -> tuple[Task, SequenceData]:
    """The trained network of a run, and its data, which are not read; see :func:`load`."""
    task, data, *_ = trained_recipe(run)
    return task, data


def trained_recipe(run: str | Path, arguments: Sequence[str] = ()) -> Recipe:
    """The recipe of a trained network, with the network's weights in it and options of its data in
    place of its own; see :func:`load`."""
    path = find_run(run)
    if path.suffix == SUFFIX:
        packed = read_packed(path)
        with TemporaryDirectory() as place:
            config = Path(place) / "config.yaml"
            config.write_text(packed.config, encoding="utf-8")
            return _trained(config, arguments, path, {"state_dict": packed.weights})
    folder = RunFolder(path if path.is_dir() else path.absolute().parent.parent)
    checkpoint = folder.best if path.is_dir() else path
    folder.require(folder.config, checkpoint)
    stored = read_checkpoint(checkpoint)
    if "state_dict" not in stored:
        raise UsageError(f"{checkpoint} is not the checkpoint of a run: it holds no state_dict")
    return _trained(folder.config, arguments, checkpoint, stored)


def find_run(run: str | Path) -> Path:
    """The path of a run, a checkpoint or a packed network: as given where it exists, else that of
    the zoo's network of this name.

    Raises:
        UsageError: there is neither.
    """
    path, known = Path(run), zoo()
    if path.exists():
        return path
    if str(run) in known:
        return known[str(run)]
    names = "" if len(path.parts) > 1 else f", and no network of the zoo ({', '.join(known)})"
    raise UsageError(f"there is no run {path}{names}")


def run_folder(run: str | Path) -> RunFolder:
    """The folder of a run to be tested; a packed network gets a new one below ``runs``."""
    path = find_run(run)
    return unpack(path, Path("runs")) if path.suffix == SUFFIX else RunFolder(path)


def _trained(
    config: Path, arguments: Sequence[str], weights: Path, stored: dict[str, Any]
) -> Recipe:
    with torch.random.fork_rng(devices=[]):  # start values are drawn, and nobody asked for them
        recipe = read_recipe(config, arguments, "spikescan.load")
    task = recipe.task
    if recipe.options.trainer.precision in ("64-true", "64", 64):
        task = task.double()
    check_fits(task, weights, stored)
    state: dict[str, Tensor] = stored["state_dict"]
    task.load_state_dict(state)
    return recipe._replace(task=task.eval())
