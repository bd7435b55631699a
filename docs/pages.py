"""The neurons' pages find their own way into the navigation and the API; a hook of mkdocs.yml."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def names(docs: Path) -> dict[str, str]:
    """The neurons by their page below ``docs``: a page's title is its class."""
    pages = sorted((docs / "neurons").glob("*.md"))
    return {
        f"neurons/{page.name}": page.read_text(encoding="utf-8").partition("\n")[0].strip("# ")
        for page in pages
        if page.stem != "index"
    }


def on_config(config: Any) -> Any:
    """Put the pages that the navigation does not name at the end of its neurons."""
    listed = next(item["Neurons"] for item in config.nav if "Neurons" in item)
    there = {path for item in listed for path in item.values()}
    for path, name in names(Path(config.docs_dir)).items():
        if path not in there:
            listed.append({name: path})
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Describe each neuron that has a page in the API, after those that are named there."""
    if page.file.src_uri != "api/neurons.md":
        return markdown
    known = markdown.split()
    more = names(Path(config.docs_dir)).values()
    return markdown + "".join(
        f"\n::: spikescan.{name}\n" for name in more if f"spikescan.{name}" not in known
    )
