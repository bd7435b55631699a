"""``spikescan results``."""

from __future__ import annotations

import csv as csv_
import sys
from pathlib import Path

from spikescan.errors import UsageError


def add(
    *runs: Path, to: Path = Path("results"), name: str | None = None, command: str | None = None
) -> int:
    """Keep what came of runs: a small JSON each, and its curves as CSV.

    Paths of this machine are left out. Runs that differ by their seed alone are one row of
    `spikescan results table`.

    Args:
        runs: folders of runs that came to their end
        to: folder for the files
        name: what the files of one run are called, else as its folder
        command: what one run began with, where it was resumed and does not tell
    """
    from spikescan.train import RunFolder
    from spikescan.train.kept import kept, write_kept

    if not runs or (len(runs) > 1 and (name or command)):
        raise UsageError("which runs? usage: spikescan results add RUN ... [--to FOLDER]")
    for path in runs:
        run = RunFolder(path)
        file = to / f"{name or path.resolve().name}.json"
        write_kept(kept(run, command=command), run, file)
        print(file)
    return 0


def table(*places: Path, csv: bool = False) -> int:
    """A table of what came of runs, the mean and standard deviation of several seeds.

    Args:
        places: folders of runs, folders of kept results, or files of those (default: results)
        csv: print comma-separated values in place of Markdown
    """
    from spikescan.train.kept import read_kept
    from spikescan.train.tables import grouped, markdown, rows

    told = rows(grouped(read_kept(places or (Path("results"),))))
    if csv:
        csv_.writer(sys.stdout, lineterminator="\n").writerows(told)
    else:
        print(markdown(told))
    return 0
