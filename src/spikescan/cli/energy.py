"""``spikescan energy``."""

from __future__ import annotations

import csv
import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikescan.errors import UsageError

if TYPE_CHECKING:
    from spikescan.energy import Account, Layer


def energy(
    run: str,
    *,
    table: str = "45nm",
    json: str | None = None,
    csv: str | None = None,
    batches: int = 0,
) -> int:
    """What a run's network costs on its test data: operations counted, energies estimated.

    The table tells, per sequence, each layer's share, and the whole by the papers' formula, by the
    full count with and without memory, for the dense network of the same widths in float32 and in
    int8, for an S4 of the same shape, and the firing rate at which the network breaks even.

    Args:
        run: Folder of a run, or a name of `spikescan zoo`.
        table: What operations cost: 45nm (float32), float16, int8, int8-papers, or a YAML file.
        json: File to write everything to, as JSON.
        csv: File to write a row for each layer to.
        batches: Batches of the test data to measure on; 0 for all.
    """
    import torch

    from spikescan.energy import Meter, account_of, find_table
    from spikescan.train.trained import trained_recipe

    if batches < 0:
        raise UsageError(f"--batches must be at least 0, got {batches}")
    costs = find_table(table)
    task, data, options, _ = trained_recipe(run)
    data.prepare_data()
    data.setup("test")
    torch.manual_seed(options.seed)  # for what fires at random
    task.eval()
    try:
        with Meter(task.model) as meter, torch.no_grad():
            for batch in islice(data.test_dataloader(), batches or None):
                # The task's own way, which may normalise windows, or take channels apart.
                task(task.readable(batch.x, batch.lengths), batch.lengths)
        account = account_of(meter, table=costs)
    except (NotImplementedError, ValueError) as error:
        raise UsageError(str(error)) from error
    show(account)
    if json is not None:
        _write_json(Path(json), account)
    if csv is not None:
        _write_csv(Path(csv), account)
    return 0


def show(account: Account) -> None:
    """Print an account: its layers, its estimates, where it breaks even."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Column, Table

    console = Console(highlight=False)
    per_step = account.steps / account.sequences
    console.print(
        f"{account.sequences:,} sequences of {per_step:,.0f} steps, "
        f"{account.parameters:,} parameters"
        + ("" if account.rate is None else f", mean firing rate {account.rate:.1%}"),
        soft_wrap=True,
    )
    right: Any = {"justify": "right", "no_wrap": True}
    layers = Table(
        "layer",
        Column("fires", **right),
        *(Column(f"{name}\na step", **right) for name in ("MAC", "AC", "other")),
        Column("energy\nnJ", **right),
        Column("memory\nnJ", **right),
        box=SIMPLE,
    )
    for layer in account.layers:
        joules = account.energy(layer)
        if not joules.total:
            continue
        rate = "" if layer.activity is None else f"{layer.activity.rate:.1%}"
        counts = (layer.spiking.macs, layer.spiking.acs, _others(layer))
        layers.add_row(
            layer.name.removeprefix("backbone."),
            rate,
            *(_number(count / account.steps) for count in counts),
            _number(1e9 * joules.computing),
            _number(1e9 * joules.memory),
        )
    console.print(layers)
    whole = Table(
        "a sequence costs",
        "table",
        *(Column(f"{name}\nµJ", **right) for name in ("computing", "memory", "together")),
        box=SIMPLE,
    )
    for row in account.estimates():
        joules = row.energy
        told = (joules.computing, joules.memory, joules.total)
        cells = [_number(1e6 * value) if value else "-" for value in told]
        whole.add_row(row.words, row.table, *cells)
    console.print(whole)
    for met in account.break_evens():
        console.print(met.words, soft_wrap=True)


def _others(layer: Layer) -> int:
    done = layer.spiking
    return done.multiplications + done.additions + done.comparisons + done.functions + done.random


def _number(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _write_json(path: Path, account: Account) -> None:
    _write(path, json.dumps(account.to_dict(), indent=2) + "\n")


def _write_csv(path: Path, account: Account) -> None:
    import io

    text, rows = io.StringIO(newline=""), account.rows()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    _write(path, text.getvalue())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    print(f"wrote {path}")
