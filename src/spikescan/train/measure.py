"""What a trained network does on its data, measured for its report."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch.plugins import Precision
from torch import Tensor

from spikescan.data import SequenceData
from spikescan.energy import Account, Meter, account_of
from spikescan.models import walk
from spikescan.models.walk import Neurons, Scan
from spikescan.neurons import DSN, LIF, PRF, ProbabilisticSSM, StateSpace
from spikescan.report import joules
from spikescan.tasks import Task
from spikescan.train.pace import pace_of

_BATCHES = 8
"""Test batches that are measured: enough for a steady mean, seconds to run."""
_SMALL = 1e-3
"""Size of an impulse that fires nothing."""


class Measured(NamedTuple):
    """What a trained network does: nothing of it is known of one that does not say its order."""

    rates: dict[str, np.ndarray[Any, Any]]
    """Of :func:`rates_of`."""
    account: Account | None
    pace: float | None
    """Steps a second on one core."""
    impulses: dict[str, np.ndarray[Any, Any]]
    """Of :func:`impulses`."""
    notes: list[str]
    """What is not known, and why."""


def measured(task: Task, data: SequenceData, precision: Precision, steps: int) -> Measured:
    """All that is measured of a network, impulses over so many steps."""
    try:
        walk(task.model)
    except NotImplementedError as error:
        return Measured({}, None, None, {}, [f"no firing rates, energies and speed: {error}"])
    meter = metered(task, data, precision)
    account, untold = energy_of(meter)
    pace, unmeasured = pace_of(task, next(iter(data.test_dataloader())), precision)
    notes = untold + unmeasured
    return Measured(rates_of(meter), account, pace, impulses(task, steps), notes)


@torch.no_grad()
def metered(task: Task, data: SequenceData, precision: Precision) -> Meter:
    """The counts of a network's work on the first test batches."""
    task.eval()
    with Meter(task.model) as meter, precision.forward_context():
        for batch in islice(data.test_dataloader(), _BATCHES):
            given = precision.convert_input(batch)
            task(given.x, given.lengths)
    return meter


def short(name: str) -> str:
    """The name of a part as reports show it, by its path in the backbone."""
    return name.removeprefix("backbone.")


def rates_of(meter: Meter) -> dict[str, np.ndarray[Any, Any]]:
    """Share of valid steps with a spike, for each channel (D,) of each neuron layer."""
    return {short(name): fired.rates.numpy() for name, fired in meter.fired.items()}


def energy_of(meter: Meter) -> tuple[Account | None, list[str]]:
    """The account of a network, or a note of why there is none."""
    try:
        return account_of(meter), []
    except NotImplementedError as error:
        return None, [f"no estimate of the energy: {error}"]


def results_of(account: Account) -> dict[str, Any]:
    """What ``results.json`` keeps of an account: all but its layers."""
    return {key: value for key, value in account.to_dict().items() if key != "layers"}


def summary(task: Task, results: Mapping[str, Any], account: Account | None) -> str:
    """A run in a line: task, headline, parameters, firing rate, energy, steps a second."""
    shown = task.headline
    words = [
        type(task).__name__.lower(),
        f"test {shown.words} {shown.text(results[f'test_{shown.name}'])}",
        f"{results['parameters']:,} parameters",
    ]
    if results["firing_rate"] is not None:
        words.append(f"fires in {100 * results['firing_rate']:.1f} % of steps")
    if account is not None:
        energy = account.full
        words.append(
            f"a sequence costs an estimated {joules(energy.computing)}, with memory "
            f"{joules(energy.total)}"
        )
    if results["steps_per_second"] is not None:
        words.append(f"it runs {results['steps_per_second']:,.0f} steps a second on one core")
    return ", ".join(words)


@torch.no_grad()
def impulses(task: Task, steps: int) -> dict[str, np.ndarray[Any, Any]]:
    """What is left of an impulse in each linear layer's channels, (D, J), J ``steps`` or fewer.

    It is measured on the membrane, with an impulse too small for a spike; layers with a membrane
    that their neurons do not tell are left out.
    """
    found: dict[str, np.ndarray[Any, Any]] = {}
    for part in walk(task.model):
        if not isinstance(part, Neurons | Scan):
            continue
        dtype = next(task.model.parameters()).dtype
        x = torch.zeros(1, steps, part.module.features, dtype=dtype)
        x[:, 0] = _SMALL
        answer = _answer(part.module, x)
        if answer is not None and bool(answer.isfinite().all()):
            found[short(part.name)] = _until_gone(answer[0].mT.double().numpy())
    return found


def _answer(module: Any, x: Tensor) -> Tensor | None:
    match module:
        case LIF() | PRF() | DSN():
            return module.trace(x).membrane
        case ProbabilisticSSM():
            return _answer(module.ssm, x)
        case StateSpace():
            return module(x)[0]
        case _:
            return None


def _until_gone(answers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The steps in which three quarters of the channels fall to a twentieth of their height."""
    there = np.abs(answers) > 0.05 * np.abs(answers).max(1, keepdims=True)
    last = answers.shape[1] - np.argmax(there[:, ::-1], axis=1)
    return answers[:, : int(np.clip(np.quantile(last, 0.75), 8, answers.shape[1]))]
