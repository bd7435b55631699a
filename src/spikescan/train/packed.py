"""A trained network in one file: weights, configuration and result, without its run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor

from spikescan.errors import UsageError
from spikescan.train.checkpoint import read_checkpoint
from spikescan.train.folder import NewRun, RunFolder
from spikescan.train.kept import Kept, kept, portable
from spikescan.train.tensors import read_tensors, read_words, write_tensors
from spikescan.train.whole import whole

SUFFIX = ".safetensors"


class Packed(NamedTuple):
    """What a file of :func:`pack` holds."""

    weights: dict[str, Tensor]
    config: str
    """As ``config.yaml`` of the run, without folders of the machine."""
    result: Kept
    """See :func:`spikescan.train.kept.kept`."""


def pack(run: RunFolder, path: Path, *, command: str | None = None) -> int:
    """Write a run's tested network into one file, in the safetensors format; return its bytes.

    Args:
        run: a run that came to its end.
        path: the file.
        command: what the run began with, where it does not tell, see :func:`kept`.

    Raises:
        UsageError: a file of the run is missing or damaged.
        Stopped: the file cannot be written.
    """
    if path.suffix != SUFFIX:
        raise UsageError(f"the file of a network must be called *{SUFFIX}, got {path}")
    told = kept(run, command=command)
    run.require(run.best)
    config = yaml.safe_dump(portable(run.read_config()), sort_keys=False, allow_unicode=True)
    weights = read_checkpoint(run.best)["state_dict"]
    write_tensors(path, weights, {"config": config, "result": json.dumps(told)})
    return path.stat().st_size


def packed_result(path: Path) -> Kept:
    """The result of a packed network, whose weights are not read."""
    return _result(path, read_words(path))


def read_packed(path: Path) -> Packed:
    """A packed network.

    Raises:
        UsageError: the file is damaged, or none of :func:`pack`.
    """
    weights, words = read_tensors(path)
    return Packed(weights, words.get("config", ""), _result(path, words))


def _result(path: Path, words: dict[str, str]) -> Kept:
    try:
        return json.loads(words["result"])
    except (KeyError, ValueError) as error:
        raise UsageError(f"{path} holds no network of spikescan: it tells no result") from error


def unpack(path: Path, runs: Path) -> RunFolder:
    """A new run folder with a packed network, to be tested as any run is."""
    packed = read_packed(path)
    run = NewRun(runs, path.stem).make()
    told: dict[str, Any] = packed.result
    results = {**told["results"], "training_seconds": told["budget"]["seconds"]}
    here = {**told["machine"], **told["versions"], "command": told["command"]}
    stored = {
        "state_dict": packed.weights,
        "epoch": told["results"]["best_epoch"] - 1,
        "callbacks": {},
    }
    for file, text in (
        (run.config, packed.config),
        (run.results, json.dumps(results)),
        (run.environment, json.dumps(here)),
    ):
        with whole(file) as part:
            part.write_text(text, encoding="utf-8")
    with whole(run.best) as part:
        torch.save(stored, part)
    return run
