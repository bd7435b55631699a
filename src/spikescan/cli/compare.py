"""``spikescan compare``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikescan.errors import UsageError

if TYPE_CHECKING:
    from spikescan.report import RunFacts


def compare(*runs: str, out: str = "compare.html") -> int:
    """Put runs side by side: a table, and a page with their curves and energies.

    Args:
        runs: Folders of two or more runs that came to their end.
        out: The page to write.
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Column, Table

    from spikescan.report import compared, write_comparison

    paths = [Path(run) for run in runs]
    if len({path.resolve() for path in paths}) < max(2, len(paths)):
        raise UsageError(
            f"which runs? usage: spikescan compare RUN RUN ..., got {' '.join(runs) or 'none'}"
        )
    facts = [_facts(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    head, *rows = compared(facts)
    first, *others = head
    columns = (Column(name, justify="right") for name in others)
    shown = Table(first, *columns, box=SIMPLE, show_edge=False, pad_edge=False)
    for row in rows:
        shown.add_row(*row)
    # As wide as it has to be, so that nothing is cut: names of runs often differ in their ends.
    console = Console(highlight=False)
    whole = console.measure(shown, options=console.options.update(max_width=1000)).maximum
    console.width = max(console.width, whole)
    console.print(shown)
    try:
        write_comparison(facts, Path(out))
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}") from error
    print(out)
    return 0


def _names(paths: list[Path]) -> list[str]:
    """The folders' names, or their paths where two are the same."""
    names = [path.resolve().name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _facts(path: Path, name: str) -> RunFacts:
    """What is compared of a run, from the files that it left.

    Raises:
        UsageError: one of them is missing or damaged.
    """
    from spikescan.report import Quantity, RunFacts, read_history
    from spikescan.train import RunFolder

    folder = RunFolder(path)
    folder.require(folder.config, folder.results)
    try:
        told: dict[str, Any] = json.loads(folder.results.read_text(encoding="utf-8"))
        headline = Quantity(**told["headline"])
        estimates = told.get("energy", {}).get("estimates", {})
        return RunFacts(
            name=name,
            title=folder.read_config().get("title") or name,
            headline=headline,
            value=told[f"test_{headline.name}"],
            parameters=told["parameters"],
            firing_rate=told.get("firing_rate"),
            training_seconds=told["training_seconds"],
            best_epoch=told["best_epoch"],
            energies={key: (e["computing"], e["total"]) for key, e in estimates.items()},
            history=read_history(folder.metrics) if folder.metrics.is_file() else {},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{folder.results} cannot be compared ({type(error).__name__}: {error}); "
            f"`spikescan test {path}` writes it again"
        ) from error
