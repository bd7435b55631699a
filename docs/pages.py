"""Neurons and ops find their own way into the navigation, tables and API; a hook of mkdocs.yml."""

from __future__ import annotations

import re
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
    """Add the neurons and ops that a page of all of them does not name yet."""
    docs = Path(config.docs_dir)
    added = {"api/neurons.md": _neurons, "api/ops.md": _ops, "neurons/index.md": _rows}
    more = added.get(page.file.src_uri)
    return markdown if more is None else more(markdown, docs)


def _neurons(markdown: str, docs: Path) -> str:
    known = markdown.split()
    return markdown + "".join(
        f"\n::: spikescan.{name}\n"
        for name in names(docs).values()
        if f"spikescan.{name}" not in known
    )


def _ops(markdown: str, docs: Path) -> str:
    known = markdown.split()
    ops = sorted(path.parent.name for path in docs.parent.glob("src/spikescan/ops/*/api.py"))
    return markdown + "".join(
        f"\n## {op}\n\n::: spikescan.ops.{op}.api\n"
        "    options: {show_root_heading: false, show_root_toc_entry: false}\n"
        for op in ops
        if f"spikescan.ops.{op}.api" not in known
    )


def _rows(markdown: str, docs: Path) -> str:
    """Rows of the overview, from the comment ``overview`` of a page, below those of its first
    group."""
    rows = ""
    for path, name in names(docs).items():
        text, link = (docs / path).read_text(encoding="utf-8"), Path(path).name
        told = re.search(r"^<!-- overview: (.*) -->$", text, re.MULTILINE)
        if told and f"]({link})" not in markdown:
            rows += f"| [{name}]({link}) | {told[1]} |\n"
    return markdown.replace("| **Baselines** |", f"{rows}| **Baselines** |")
