"""``spikescan report``."""

from __future__ import annotations

from spikescan.cli.run import evaluated


def report(run: str) -> int:
    """Write the page of a run again.

    Its best checkpoint is tested again for it, as `spikescan test` does.

    Args:
        run: Folder of a run; a network of `spikescan zoo` gets one below runs.
    """
    _, _, folder = evaluated(run, (), "spikescan report RUN")
    print(folder.report)
    return 0
