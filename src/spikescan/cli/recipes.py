"""``spikescan recipes``."""

from __future__ import annotations

from pathlib import Path


def recipes(*, show: str | None = None, root: Path | None = None) -> int:
    """List the recipes, or print one.

    Args:
        show: print the whole recipe of this name, to copy and change
        root: folder of all data sets, else SPIKESCAN_DATA, else a folder in the user's cache
    """
    import sys

    from rich.console import Console
    from rich.table import Table

    from spikescan import recipes as shipped
    from spikescan.cli.run import find_recipe
    from spikescan.recipes.rows import rows

    if show is not None:
        print(find_recipe(show).read_text(encoding="utf-8"), end="")
        return 0
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("recipe", no_wrap=True)
    table.add_column("what it trains", min_width=30)
    table.add_column("task", no_wrap=True)
    for name in ("steps", "parameters"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("reads", "data", "here"):
        table.add_column(name, no_wrap=True)
    told = rows()
    for name, path in shipped.recipes().items():
        what = shipped.title(path).partition(": ")[2]
        if (row := told.get(name)) is None:  # added since the rows were written
            table.add_row(name, what)
            continue
        table.add_row(
            name,
            what,
            row.task.lower(),
            f"{row.length:,}",
            f"{row.parameters:,}",
            "causal" if row.causal else "both ways",
            row.data or "generated",
            _here(row.data, root),
        )
    # A file or another program gets every column whole.
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    return 0


def _here(data: str, root: Path | None) -> str:
    """Whether a data set, or a path below the data root, is here."""
    from spikescan.data.catalogue import SOURCES
    from spikescan.data.root import data_root
    from spikescan.data.sources import missing

    known = {source.name: source for source in SOURCES}
    if not data or (data in known and known[data].embedded):
        return "always"
    if data in known:
        return "no" if missing(known[data], root) else "yes"
    return "yes" if (data_root(root) / data).exists() else "no"
