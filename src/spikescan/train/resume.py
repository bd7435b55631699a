"""What may differ when a run goes on, or is tested again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from spikescan.errors import UsageError
from spikescan.train.folder import RunFolder

Path = tuple[str, ...]

# Where data lie and how they are read; of the batch size see Keep.on_train_start.
_DATA = [("data", "init_args", name) for name in ("root", "path", "workers", "batch_size")]
_ANY = [("title",), ("runs",), ("name",), ("progress",), ("trainer",)]
MAY_DIFFER_TO_GO_ON: list[Path] = [*_ANY, *_DATA]
MAY_DIFFER_TO_TEST: list[Path] = [*_ANY, ("data",), ("seed",)]


def check_same(folder: RunFolder, config: str, may_differ: list[Path], purpose: str) -> None:
    """Refuse options that would do nothing, for a checkpoint holds what they set.

    Args:
        folder: the run.
        config: the configuration that is asked for, YAML.
        may_differ: paths of options that do something, with all below them.
        purpose: what is done with the run, for the message.

    Raises:
        UsageError: another option differs from the run's own.
    """
    for path, there, asked in _differences(folder.read_config(), yaml.safe_load(config), ()):
        if not any(path[: len(free)] == free for free in may_differ):
            name = ".".join(part for part in path if part != "init_args")
            raise UsageError(
                f"{folder.path} cannot be {purpose} with another {name} ({there!r} there, "
                f"{asked!r} asked for); train a new run with it"
            )


def _differences(own: Any, asked: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(own, Mapping) and isinstance(asked, Mapping):
        # What only the configuration asked for has is an option that the run did not know.
        for name in own.keys() & asked.keys():
            yield from _differences(own[name], asked[name], (*path, name))
    elif own != asked:
        yield path, own, asked
