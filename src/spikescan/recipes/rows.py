"""What each recipe is, told without building it: ``python -m spikescan.recipes.rows`` writes it.

The figures of a network are known once it is built, which takes torch and seconds; they are kept in
``rows.json`` beside the recipes, and tests compare.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import yaml

from spikescan.recipes import recipes

_KEPT = Path(__file__).with_name("rows.json")


class Row(NamedTuple):
    """A recipe in figures."""

    task: str
    """Class of its task."""
    length: int
    """Largest number of steps of a sequence."""
    parameters: int
    """Trained numbers of the network."""
    causal: bool
    """Whether the network runs step by step; otherwise it reads both ways."""
    data: str
    """Name of the data set in ``spikescan data list``, a path below the data root, or nothing for
    generated data."""
    sha256: str
    """That of the recipe's data, model and kind of task, by which an older row is noticed."""


def rows() -> dict[str, Row]:
    """The kept row of each recipe by name."""
    kept = json.loads(_KEPT.read_text(encoding="utf-8"))
    return {name: Row(**values) for name, values in kept.items()}


def describe(recipe: Path) -> Row:
    """Build a recipe's network and tell what it is.

    Raises:
        DataError: its facts are in a file, which is not here.
    """
    from spikescan.train import read_recipe

    made = read_recipe(recipe)
    return Row(
        task=type(made.task).__name__,
        length=made.data.facts.length,
        parameters=sum(p.numel() for p in made.task.model.parameters() if p.requires_grad),
        causal=made.task.model.causal,
        data=made.data.source or "",
        sha256=_digest(recipe),
    )


def _digest(recipe: Path) -> str:
    told = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    built = (told["data"], told["model"], told.get("task", {}).get("class_path"))
    return hashlib.sha256(json.dumps(built, sort_keys=True).encode()).hexdigest()


def outdated() -> list[str]:
    """Names of the recipes whose row is missing or older, and of rows without recipe."""
    kept = rows()
    found = {name: _digest(path) for name, path in recipes().items()}
    return sorted(
        name
        for name in kept.keys() | found.keys()
        if name not in kept or kept[name].sha256 != found.get(name)
    )


def write() -> None:
    """Describe anew what has changed; the files that its facts are in must be here."""
    kept, changed = rows(), {*outdated()}
    told = {
        name: (describe(path) if name in changed else kept[name])._asdict()
        for name, path in recipes().items()
    }
    _KEPT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
