"""The page on data names all that recipes read."""

from __future__ import annotations

from pathlib import Path

from spikescan.data import SOURCES
from spikescan.recipes.rows import rows

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def test_every_data_set_and_file_of_a_recipe_is_on_the_page() -> None:
    named = {source.name for source in SOURCES} | {row.data for row in rows().values()} - {""}
    assert sorted(name for name in named if f"`{name}`" not in PAGE) == []
