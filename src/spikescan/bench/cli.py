"""``spikescan bench list | run | figures``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from spikescan.bench.allocator import keep_memory
from spikescan.bench.case import Case
from spikescan.bench.cases import CASES
from spikescan.bench.machine import is_here
from spikescan.bench.results import Results, exit_status, read_json, write_json
from spikescan.bench.run import Settings, run_cases
from spikescan.bench.table import (
    QUICK,
    bound_of,
    value_of,
    verdict_of,
    write_markdown,
)

_STYLES = {"holds": "green", "falls short": "red", "wrong": "bold red", "failed": "bold red"}

_EPILOG = """\
exit status: 0 when everything required holds, 1 when something falls short, is wrong or failed,
2 for a wrong command line, 3 when something could not be measured, as when a peer is missing
"""


class _UsageError(Exception):
    """The command line is wrong; one line says how."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


def main(arguments: Sequence[str]) -> int:
    """Run the command line after ``spikescan bench``; return its exit status."""
    parser = _parser()
    try:
        if not arguments:
            parser.print_help()
            return 0
        options = parser.parse_args(list(arguments))
        return options.run(options)
    except _UsageError as error:
        print(f"spikescan bench: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except SystemExit as error:  # --help
        return int(error.code or 0)


def _parser() -> _Parser:
    parser = _Parser(
        prog="spikescan bench",
        description="Measure speed against peers; correctness comes first.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="list|run|figures")
    listing = commands.add_parser("list", help="name the cases")
    listing.set_defaults(run=_list)
    run = commands.add_parser("run", help="run cases, all of them by default")
    run.add_argument("cases", nargs="*", metavar="CASE", help="names, as `list` gives them")
    mode = run.add_mutually_exclusive_group()
    mode.add_argument("--full", action="store_true", help="the required shapes, some ten minutes")
    mode.add_argument(
        "--quick", action="store_true", help="smaller shapes, below a minute (the default)"
    )
    run.add_argument("--repeats", type=int, help="rounds of timing (default: 7, quick 3)")
    run.add_argument(
        "--device", choices=("cpu", "cuda"), help="only cases on this device (default: any here)"
    )
    run.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    run.add_argument("--json", type=Path, metavar="FILE", help="keep every sample")
    run.add_argument("--markdown", type=Path, metavar="FILE", help="write tables")
    run.set_defaults(run=_run)
    pictures = commands.add_parser("figures", help="draw pictures from kept results")
    pictures.add_argument("results", type=Path, metavar="RESULTS.json")
    pictures.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where to")
    pictures.set_defaults(run=_figures)
    return parser


def find_cases(names: Sequence[str], cases: Sequence[Case] = CASES) -> tuple[Case, ...]:
    """The cases of these names; without any, all that this machine has the device for.

    Raises:
        _UsageError: a name is unknown.
    """
    known = {case.name: case for case in cases}
    for name in names:
        if name not in known:
            raise _UsageError(f"unknown case {name!r}; the cases are {', '.join(known)}")
    if names:
        return tuple(known[name] for name in dict.fromkeys(names))
    return tuple(case for case in cases if is_here(case.shape.device))


def _list(_: argparse.Namespace) -> int:
    table = Table(Column("case", no_wrap=True), "what", "shape", "required", box=SIMPLE)
    for case in CASES:
        bounds = "; ".join(
            f"{'≥' if g.at_least else '≤'} "
            + (f"{100 * g.required:g} %" if g.percent else f"{g.required:,g}")
            for g in case.goals
        )
        table.add_row(case.name, case.title, str(case.shape), bounds or "informs only")
    Console().print(table)
    return 0


def _run(options: argparse.Namespace) -> int:
    cases = find_cases(options.cases)
    if options.device is not None:
        cases = tuple(case for case in cases if case.shape.device == options.device)
        if not cases:
            raise _UsageError(f"none of these cases is for {options.device}, or it is not here")
    quick = not options.full
    repeats = options.repeats if options.repeats is not None else (3 if quick else 7)
    if repeats < (1 if quick else 5):
        least = "1" if quick else "5 with --full"
        raise _UsageError(f"--repeats must be at least {least}, got {repeats}")
    if options.threads < 1:
        raise _UsageError(f"--threads must be at least 1, got {options.threads}")
    for path in (options.json, options.markdown):
        if path is not None and not path.absolute().parent.is_dir():
            raise _UsageError(f"no folder {path.parent} to write {path.name} into")
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    keep_memory()
    try:
        # Kept after each case: a run that is cut short loses only what it had not measured.
        results = _with_progress(cases, Settings(quick, repeats), lambda r: _keep(r, options))
    finally:
        torch.set_num_threads(threads)
    _show(results)
    return exit_status(results)


def _keep(results: Results, options: argparse.Namespace) -> None:
    if options.json is not None:
        write_json(results, options.json)
    if options.markdown is not None:
        write_markdown(results, options.markdown)


def _with_progress(
    cases: Sequence[Case], settings: Settings, keep: Callable[[Results], None]
) -> Results:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        whole = bar.add_task("", total=len(cases))
        names = iter([case.name for case in cases])
        now = next(names, "")

        def tell(text: str) -> None:
            bar.update(whole, description=f"{now}: {text}"[: max(20, console.width - 50)])

        def done(results: Results) -> None:
            nonlocal now
            keep(results)
            result = results.cases[-1]
            now = next(names, "")
            bar.advance(whole)
            style = _STYLES.get(result.verdict)
            line = f"{result.name}: {result.verdict} ({result.took:.1f} s)"
            console.print(line, style=style, highlight=False)
            if result.verdict in ("wrong", "failed", "not measured") and result.said:
                console.print(f"  {result.said}", markup=False, highlight=False)

        return run_cases(cases, settings, tell=tell, done=done)


def _show(results: Results) -> None:
    console = Console()
    console.print(", ".join(f"{k} {v}" for k, v in results.machine.items()), style="dim")
    if results.quick:
        console.print(QUICK)
    whole = [Column(name, no_wrap=True) for name in ("measured", "required", "verdict")]
    table = Table(Column("case", no_wrap=True), "what", *whole, box=SIMPLE)
    for case in results.cases:
        for outcome in case.outcomes:
            table.add_row(
                case.name,
                outcome.what,
                value_of(outcome),
                bound_of(outcome),
                verdict_of(outcome),
                style=_STYLES.get(outcome.verdict),
            )
        if not case.outcomes:
            what = case.title if case.timings else case.said
            table.add_row(case.name, what, "", "", case.verdict, style=_STYLES.get(case.verdict))
    console.print(table)
    for reason in dict.fromkeys(reason for case in results.cases for reason in case.missing):
        console.print(f"not measured: {reason}", style="yellow", markup=False)


def _figures(options: argparse.Namespace) -> int:
    from spikescan.bench.figures import write_figures

    try:
        results = read_json(options.results)
    except FileNotFoundError as error:
        raise _UsageError(f"no file {options.results}") from error
    except ValueError as error:
        raise _UsageError(str(error)) from error
    written = write_figures(results, options.out)
    for path in written:
        print(path)
    if not written:
        raise _UsageError(f"{options.results} holds no case that has a picture")
    return 0
