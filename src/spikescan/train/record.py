"""From a trained network to the record that its report shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.plugins import Precision
from torch import Tensor, nn

from spikescan.data import SequenceBatch, SequenceData
from spikescan.models import Scale
from spikescan.neurons import Neuron
from spikescan.report import RasterRecord, RunRecord, activity_notes, joules, read_history
from spikescan.tasks import Task
from spikescan.tasks.firing import listening
from spikescan.train.environment import TRAINED_BY, TRAINING
from spikescan.train.measure import measured, results_of, short, summary

_UNTRAINED = (
    "no epoch was better on the validation data than the start, which is what is kept: the network "
    "has learned nothing that helps"
)
_STEPS = 1024
"""Longest answer to an impulse that a report shows."""


def neurons_of(model: nn.Module) -> dict[str, Neuron]:
    """The neurons of a network by their path in its backbone, in network order."""
    return {short(name): m for name, m in model.named_modules() if isinstance(m, Neuron)}


def neuron_dynamics(model: nn.Module) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """What each neuron layer's parameters mean now, see :meth:`spikescan.Neuron.dynamics`."""
    with torch.no_grad():
        found = {name: neuron.dynamics() for name, neuron in neurons_of(model).items()}
    return {
        layer: {key: value.double().cpu().numpy().copy() for key, value in values.items()}
        for layer, values in found.items()
        if values
    }


@torch.no_grad()
def spikes_of(
    task: Task, batch: SequenceBatch, precision: Precision
) -> tuple[Tensor, dict[str, Tensor]]:
    """The output (B, ...) and each neuron layer's spikes (B, T, D) for one batch."""
    spikes: dict[str, Tensor] = {}

    def keep(name: str, fired: Tensor) -> None:
        spikes[short(name)] = fired

    with listening(task.model, keep), precision.forward_context():
        given = precision.convert_input(batch)
        out = task(given.x, given.lengths)
    return out, spikes


def fired(spikes: Tensor, batch: SequenceBatch) -> tuple[Tensor, int]:
    """Steps with a spike, for each channel (D,), of a layer's spikes (B, T, D); valid steps."""
    rows, steps, _ = spikes.shape
    valid = len(batch.x) * steps if batch.lengths is None else int(batch.lengths.sum())
    # Beyond a row's length there are no spikes. A convolution has a row for each pixel.
    return (spikes != 0).sum((0, 1)).double(), valid * (rows // max(1, len(batch.x)))


def raster(task: Task, data: SequenceData, precision: Precision) -> RasterRecord:
    """The first test sequence, of a pair the first one, and the spikes it causes."""
    task.eval()
    batch: SequenceBatch = next(iter(data.test_dataloader()))
    rows = len(batch.x) // len(batch.y)  # two of a pair
    lengths = None if batch.lengths is None else batch.lengths[:rows]
    length = batch.x.shape[1] if lengths is None else int(lengths.max())
    y = batch.y[:1]
    if y.ndim > 1 and y.shape[1] == batch.x.shape[1]:
        y = y[:, :length]  # a target for each step
    one = SequenceBatch(batch.x[:rows, :length], y, lengths if rows > 1 else None)
    out, spikes = spikes_of(task, one, precision)
    # In the data's own unit a large channel would leave the others without contrast.
    scales = [module for module in task.modules() if isinstance(module, Scale)]
    x = scales[0](one.x) if scales else one.x
    shown = x[0] if x.ndim == 3 else x[0, :, None]
    end = length if lengths is None else int(lengths[0])
    return RasterRecord(
        input=shown[:end].float().numpy(),
        spikes={name: s[0, :end].float().numpy() for name, s in spikes.items()},
        words=task.verdicts(out, one)[0],
    )


def run_record(
    task: Task,
    data: SequenceData,
    title: str,
    config: str,
    results: dict[str, Any],
    start: dict[str, dict[str, np.ndarray[Any, Any]]],
    metrics: Path,
    environment: dict[str, str],
    precision: Precision,
    notes: Sequence[str] = (),
) -> RunRecord:
    """Collect everything the report shows; adds firing rates and energies to ``results``."""
    rates, account, pace, impulses, untold = measured(
        task, data, precision, min(data.facts.length, _STEPS)
    )
    if account is not None:
        results["energy"] = results_of(account)
    results["firing_rates"] = {name: float(rate.mean()) for name, rate in rates.items()}
    rate = float(np.mean(np.concatenate(list(rates.values())))) if rates else None
    results["firing_rate"] = rate
    results["steps_per_second"] = pace
    seconds = results["training_seconds"]
    shown = (task.headline, *task.beside)
    facts = [
        *((f"test {q.words}", q.text(results[f"test_{q.name}"])) for q in shown),
        ("parameters", f"{results['parameters']:,}"),
        ("longest sequence", f"{data.facts.length:,} steps"),
        ("mean firing rate", "no neurons" if rate is None else f"{100 * rate:.1f} %"),
        ("best epoch", str(results["best_epoch"] or "0, the start")),
    ]
    if account is not None:
        facts[-1:-1] = [
            ("estimated energy a sequence", joules(account.full.computing)),
            ("the same with memory", joules(account.full.total)),
        ]
    if pace is not None:
        facts.insert(-1, ("steps a second on one core", f"{pace:,.0f}"))
    if seconds:
        facts.insert(len(shown), ("training time", f"{seconds:.0f} s"))
    now = neuron_dynamics(task.model)
    recipe, _, words = title.rpartition(": ")
    return RunRecord(
        title=words,
        recipe=recipe,
        summary=summary(task, results, account),
        facts=facts,
        notes=[
            *notes,
            *([] if results["best_epoch"] else [_UNTRAINED]),
            *(f"at the end {note}" for note in activity_notes(rates)),
            *untold,
        ],
        environment=[pair for pair in environment.items() if pair[0] != TRAINED_BY],
        commands=_commands(environment),
        config=config,
        history=read_history(metrics) if metrics.is_file() else {},
        quantities=tuple(dict.fromkeys((task.headline, *task.quantities))),
        watched=task.watched,
        sections=task.sections(),
        rates=rates,
        energy=account,
        impulses=impulses,
        raster=raster(task, data, precision),
        neurons={
            layer: {**values, **{f"initial {k}": v for k, v in start.get(layer, {}).items()}}
            for layer, values in now.items()
        },
    )


def _commands(environment: dict[str, str]) -> list[tuple[str, str]]:
    """Command lines that make a run again."""
    by = environment.get(TRAINED_BY, environment["command"])
    commands = [("the command that made this run", by)] if by.startswith(TRAINING) else []
    same = "the same from the configuration below, saved as config.yaml"
    return [*commands, (same, f"{TRAINING} config.yaml --name again")]
