"""Options for generated data of the kind that a recipe reads."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import yaml

_FOUND = {
    "columns": "--data.columns=null",
    "every": "--data.every=null",
    "header": "--data.header=true",
    "names": "--data.names=null",
}
"""What a recipe knows of its files, and generated ones may have otherwise."""


def tiny(recipe: Path, folder: Path) -> list[str]:
    """Options for generated data: as the tests of the recipe's data set make them, else those of
    its task.

    ``tiny(folder)`` in ``tests/data/test_NAME.py``, for ``data/NAME.py``, or in
    ``tests/tasks/test_NAME.py``, for ``tasks/NAME.py``.
    """
    config = yaml.safe_load(recipe.read_text())
    data = _module(config["data"]["class_path"])
    task = _module(config["task"].get("class_path", "spikescan.tasks.Classification"))
    for where in (f"data.test_{data}", f"tasks.test_{task}"):
        if find_spec(where) and hasattr(module := import_module(where), "tiny"):
            found = _FOUND.items()
            init = config["data"].get("init_args", {})
            return [*module.tiny(folder), *(option for name, option in found if name in init)]
    raise LookupError(f"no test module of {data} or {task} has a function tiny(folder)")


def _module(path: str) -> str:
    where, _, name = path.rpartition(".")
    return getattr(import_module(where), name).__module__.rpartition(".")[2]
