"""A program as a graph of the Neuromorphic Intermediate Representation, exactly or not at all."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from spikescan.errors import optional
from spikescan.models.walk import INPUT
from spikescan.stream.program import Program, checked
from spikescan.stream.records import (
    ALIF,
    DSN,
    LIF,
    PRF,
    Affine,
    Dense,
    Diagonal,
    Draw,
    Gelu,
    Lookup,
    LowRank,
    Mean,
    Record,
    Residual,
    Spatial,
    Synapse,
    Synapse8,
)

if TYPE_CHECKING:
    import nir

_REASONS: dict[type[Record], str] = {
    Lookup: "NIR has no table of tokens",
    Synapse8: "NIR has no integer sums; write the program with float32 weights",
    Gelu: "NIR has no GELU",
    Mean: "NIR has no mean over the steps so far; the reader can take that of the outputs",
    PRF: "NIR has no resonate-and-fire neuron",
    ALIF: "NIR has no adaptive threshold",
    DSN: "NIR has no decay that depends on the input",
    Diagonal: "NIR has no complex state space",
    LowRank: "NIR has no complex state space",
    Draw: "NIR has no random spikes",
}


class CannotExport(ValueError):
    """A program has records that a format cannot express; the message lists all of them."""


def nir_refusals(program: Program, *, mean_outside: bool = False) -> list[str]:
    """What NIR cannot express of a program, a line for each record; none where all of it can be.

    Args:
        program: what :func:`spikescan.fold` made.
        mean_outside: see :func:`to_nir`.

    >>> from spikescan.models import SDTCM, Classifier
    >>> from spikescan.stream import fold
    >>> for line in nir_refusals(fold(Classifier(SDTCM, features=8, depth=1).eval()))[-1:]:
    ...     print(line.partition(": ")[2].partition(";")[0])
    NIR has no mean over the steps so far
    """
    checked(program)
    if mean_outside:
        program = _without_mean(program)
    found = ((record.name, _reason(record, program)) for record in program)
    return [f"{name}: {reason}" for name, reason in found if reason]


def to_nir(
    program: Program, file: str | Path, *, dt: float = 1e-4, mean_outside: bool = False
) -> nir.NIRGraph:
    r"""Write a program as an NIR graph whose neurons, in Euler steps of ``dt``, are its own.

    Sums are edges that meet; a LIF neuron of decay β is

    .. math:: \tau \dot v = -v + R I, \qquad \tau = R \, dt, \quad R = \frac1{1 - \beta}

    and fires above the number that comes before its threshold, as NIR's neurons fire above theirs
    and ours at it. Without a reset it is a leaky integrator and a threshold. All is rounded to
    float32, so that a spike may differ where a membrane is at its threshold but for rounding.

    Args:
        program: what :func:`spikescan.fold` made.
        file: where the graph goes, in NIR's HDF5 format.
        dt: the time of a step in seconds; the reader's own must be the same.
        mean_outside: leave to the reader the mean over the steps that a head reads: the graph gives
            an output of each step, and their mean over the steps so far is that of the program, as
            only matrices come after the mean.

    Raises:
        CannotExport: records that NIR does not have, all of which are listed.
        MissingPackage: the package nir is not installed.
        ValueError: dt is not positive, or names of records differ in dots alone.

    Source: Pedersen et al. 2024, "Neuromorphic intermediate representation", table 1.
    """
    nir = optional("nir", "nir", "writing NIR")
    checked(program)
    if not dt > 0:
        raise ValueError(f"dt must be positive, got {dt}")
    if mean_outside:
        program = _without_mean(program)
    refused = nir_refusals(program)
    if refused:
        raise CannotExport("; ".join(refused))
    nodes: dict[str, Any] = {
        "input": nir.Input({"input": np.array([program.inputs])}),
        "output": nir.Output({"output": np.array([program.outputs])}),
    }
    edges: list[tuple[str, str]] = []
    for record in program:
        if isinstance(record, Residual):
            continue
        made = _nodes(record, dt)
        names = [*made]
        if made.keys() & nodes.keys():
            raise ValueError(f"two nodes would be called {names[-1]}")
        nodes |= made
        edges += [(source, names[0]) for source in _sources(record.inputs[0], program)]
        edges += list(pairwise(names))
    edges += [(source, "output") for source in _sources(program.records[-1].name, program)]
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    graph = nir.NIRGraph(nodes, edges, metadata={"dt": dt, "integration": "forward Euler"})
    nir.write(Path(file), graph)
    return graph


def _without_mean(program: Program) -> Program:
    """The program of each step's outputs, where their mean is what the program gives."""
    for i, record in enumerate(program):
        after = program.records[i + 1 :]
        chain = [(name,) for name in (record.name, *(r.name for r in after[:-1]))]
        if (
            isinstance(record, Mean)
            and after
            and all(isinstance(r, Dense | Affine) for r in after)
            and [r.inputs for r in after] == chain
        ):
            first = replace(after[0], inputs=record.inputs)
            return replace(program, records=(*program.records[:i], first, *after[1:]))
    return program


def _reason(record: Record, program: Program) -> str | None:
    """Why NIR cannot express a record."""
    match record:
        case LIF() if record.reset == "soft":
            return "NIR has no soft reset, and a neuron with a hard one is another"
        case LIF() if not bool(((record.beta >= 0) & (record.beta < 1)).all()):
            return "a neuron of NIR leaks: its decay must be within [0, 1)"
        case Residual():
            sources = _sources(record.name, program)
            twice = len(sources) != len(set(sources))
            return (
                "the same value is added twice, and NIR has one edge of a kind" if twice else None
            )
        case _:
            return _REASONS.get(type(record))


def _named(name: str) -> str:
    """A node's name, without the dots that torch refuses in names of modules."""
    return "input" if name == INPUT else name.replace(".", "_")


def _sources(name: str, program: Program) -> list[str]:
    """The nodes whose outputs add up to a value."""
    record = next((r for r in program if r.name == name), None)
    if not isinstance(record, Residual):
        return [_named(name)]
    return [source for each in record.inputs for source in _sources(each, program)]


def _nodes(record: Record, dt: float) -> dict[str, Any]:
    """The nodes of a record, one after the other; the last has its name."""
    import nir

    name = _named(record.name)
    match record:
        case Dense() | Synapse():
            return {name: nir.Affine(_array(record.weight), _array(record.bias))}
        case Affine():
            return {name: nir.Affine(_array(record.gain.diag()), _array(record.bias))}
        case Spatial():
            return {name: nir.Threshold(_below(record.threshold))}
        case LIF():
            rest = (1 - record.beta.double()).expand(record.width)
            leak = {
                "tau": _array(dt / rest),
                "r": _array(1 / rest),
                "v_leak": np.zeros(record.width, np.float32),
            }
            threshold = _below(record.threshold)
            if record.reset == "none":
                return {f"{name}_membrane": nir.LI(**leak), name: nir.Threshold(threshold)}
            return {name: nir.LIF(**leak, v_threshold=threshold, v_reset=_array(record.v_reset))}
        case _:
            raise AssertionError(type(record).__name__)


def _array(x: Tensor) -> np.ndarray[Any, Any]:
    return x.float().contiguous().numpy().copy()


def _below(threshold: Tensor) -> np.ndarray[Any, Any]:
    """The numbers just below, so that what is above them is at the threshold or above."""
    return _array(torch.nextafter(threshold, torch.tensor(-torch.inf)))
