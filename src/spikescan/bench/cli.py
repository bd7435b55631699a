"""``spikescan bench list | run | figures``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spikescan.errors import UsageError

if TYPE_CHECKING:
    from spikescan.bench.case import Case
    from spikescan.bench.results import Results


def list_() -> int:
    """Name the benchmark cases."""
    from spikescan.bench.cases import CASES
    from spikescan.bench.terminal import list_cases

    list_cases(CASES)
    return 0


def run(
    *cases: str,
    full: bool = False,
    quick: bool = False,
    repeats: int | None = None,
    device: Literal["cpu", "cuda"] | None = None,
    threads: int = 2,
    json: Path | None = None,
    markdown: Path | None = None,
) -> int:
    """Measure speed against peers, correctness first: all cases or the named ones.

    The exit status is 0 when everything required holds, 1 when something falls short, is wrong or
    failed, 2 for a wrong command line, 3 when something could not be measured, as when a peer is
    missing.

    Args:
        cases: names, as `spikescan bench list` gives them
        full: the required shapes, some ten minutes
        quick: smaller shapes, below a minute; so it is without --full
        repeats: rounds of timing; else 7, or 3 of smaller shapes
        device: only cases on this device; else any here
        threads: of torch
        json: file that keeps every sample
        markdown: file for tables
    """
    import torch

    from spikescan.bench.results import exit_status, write_json
    from spikescan.bench.run import Settings
    from spikescan.bench.table import write_markdown
    from spikescan.bench.terminal import run_with_progress, show
    from spikescan.memory import keep_memory

    chosen = find_cases(cases)
    if device is not None:
        chosen = tuple(case for case in chosen if case.shape.device == device)
        if not chosen:
            raise UsageError(f"none of these cases is for {device}, or it is not here")
    if full and quick:
        raise UsageError("--full and --quick exclude each other")
    if repeats is None:
        repeats = 7 if full else 3
    if repeats < (5 if full else 1):
        least = "5 with --full" if full else "1"
        raise UsageError(f"--repeats must be at least {least}, got {repeats}")
    if threads < 1:
        raise UsageError(f"--threads must be at least 1, got {threads}")
    for path in (json, markdown):
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"no folder {path.parent} to write {path.name} into")

    def keep(results: Results) -> None:
        if json is not None:
            write_json(results, json)
        if markdown is not None:
            write_markdown(results, markdown)

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    keep_memory()
    try:
        # Kept after each case: a run that is cut short loses only what it had not measured.
        results = run_with_progress(chosen, Settings(not full, repeats), keep)
    finally:
        torch.set_num_threads(before)
    show(results)
    return exit_status(results)


def figures(results: Path, *, out: Path = Path()) -> int:
    """Draw pictures from the kept results of `spikescan bench run --json`.

    Args:
        results: the kept file
        out: folder for the pictures
    """
    from spikescan.bench.figures import write_figures
    from spikescan.bench.results import read_json

    try:
        kept = read_json(results)
    except FileNotFoundError as error:
        raise UsageError(f"no file {results}") from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    written = write_figures(kept, out)
    for path in written:
        print(path)
    if not written:
        raise UsageError(f"{results} holds no case that has a picture")
    return 0


def find_cases(names: Sequence[str], cases: Sequence[Case] | None = None) -> tuple[Case, ...]:
    """The cases of these names; without any, all that this machine has the device for.

    Raises:
        UsageError: a name is unknown.
    """
    from spikescan.bench.cases import CASES
    from spikescan.bench.machine import is_here

    known = {case.name: case for case in (CASES if cases is None else cases)}
    for name in names:
        if name not in known:
            raise UsageError(f"unknown case {name!r}; the cases are {', '.join(known)}")
    if names:
        return tuple(known[name] for name in dict.fromkeys(names))
    return tuple(case for case in known.values() if is_here(case.shape.device))
