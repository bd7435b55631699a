"""``spikescan zoo`` and ``spikescan pack``."""

from __future__ import annotations

import sys
from pathlib import Path


def zoo() -> int:
    """List the trained networks that come with the package.

    Each name stands where a command takes a run: `spikescan energy digits`.
    """
    from rich.console import Console
    from rich.table import Column, Table

    from spikescan import zoo as shelf
    from spikescan.train.packed import packed_result
    from spikescan.train.tables import Group

    right: dict[str, str] = {"justify": "right"}
    table = Table(
        Column("network", no_wrap=True),
        Column("what it was trained on", min_width=30),
        Column("on the test data", no_wrap=True),
        *(Column(name, no_wrap=True, **right) for name in ("parameters", "fires", "KiB")),  # type: ignore[arg-type]
        Column("reads", no_wrap=True),
        box=None,
        padding=(0, 2, 0, 0),
    )
    for name, path in shelf.zoo().items():
        told = packed_result(path)
        one = Group(name, told["command"], [told])
        table.add_row(
            name,
            told["title"].partition(": ")[2] or told["title"],
            f"{one.headline.words} {one.score}",
            one.parameters,
            one.rate,
            f"{path.stat().st_size / 1024:,.0f}",
            one.reads,
        )
    # A file or another program gets every column whole.
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    return 0


def pack(run: Path, *, out: Path | None = None, command: str | None = None) -> int:
    """Write a run's trained network into one file, without its run and its data.

    The file holds weights, configuration and result in the safetensors format, from which nothing
    is unpickled. It stands where a command takes a run, and `spikescan.load` reads it.

    Args:
        run: folder of a run that came to its end
        out: the file, else the run's name and .safetensors
        command: what the run began with, where it was resumed and does not tell
    """
    from spikescan.train import RunFolder, packed

    path = out or Path(f"{run.resolve().name}{packed.SUFFIX}")
    size = packed.pack(RunFolder(run), path, command=command)
    print(f"{path}: {size / 1024:,.0f} KiB")
    return 0
