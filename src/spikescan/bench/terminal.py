"""A run of cases on the terminal: progress, verdicts, the table at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from spikescan.bench.case import Case
from spikescan.bench.results import Results
from spikescan.bench.run import Settings, run_cases
from spikescan.bench.table import QUICK, bound_of, value_of, verdict_of

_STYLES = {"holds": "green", "falls short": "red", "wrong": "bold red", "failed": "bold red"}


def list_cases(cases: Sequence[Case]) -> None:
    table = Table(Column("case", no_wrap=True), "what", "shape", "required", box=SIMPLE)
    for case in cases:
        bounds = "; ".join(
            f"{'≥' if g.at_least else '≤'} "
            + (f"{100 * g.required:g} %" if g.percent else f"{g.required:,g}")
            for g in case.goals
        )
        table.add_row(case.name, case.title, str(case.shape), bounds or "informs only")
    Console().print(table)


def run_with_progress(
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


def show(results: Results) -> None:
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
