"""``spikescan data list | get``."""

from __future__ import annotations

from pathlib import Path


def list_(*, root: Path | None = None) -> int:
    """List the data sets, and which of them are here.

    Args:
        root: folder of all data sets, else SPIKESCAN_DATA, else a folder in the user's cache
    """
    from rich.console import Console
    from rich.table import Table

    from spikescan.data.catalogue import SOURCES
    from spikescan.data.root import data_root
    from spikescan.data.sources import missing

    table = Table("name", "what", "licence", "here")
    for source in SOURCES:
        here = "no" if missing(source, root) else "yes"
        here = "in a dependency" if source.embedded else here
        table.add_row(source.name, source.title, source.licence, here)
    Console().print(table)
    print(f"data root: {data_root(root)}")
    return 0


def get(name: str, *, root: Path | None = None) -> int:
    """Download a data set and verify it.

    Args:
        name: as `spikescan data list` gives it
        root: folder of all data sets, else SPIKESCAN_DATA, else a folder in the user's cache
    """
    from spikescan.data.sources import fetch, find_source

    print(fetch(find_source(name), root))
    return 0
