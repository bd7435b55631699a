"""Recipes: YAML files that ``spikescan train`` runs, one for each row of the results table."""

from __future__ import annotations

from pathlib import Path

import yaml

_FOLDER = Path(__file__).parent


def recipes() -> dict[str, Path]:
    """The shipped recipes by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}


def title(recipe: Path) -> str:
    """A recipe's own one-line description."""
    return str(yaml.safe_load(recipe.read_text(encoding="utf-8")).get("title", ""))
