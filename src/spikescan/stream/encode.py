"""A program as the flat arrays that the C source ``ops/event/step.inc.h`` interprets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spikescan.models.walk import INPUT
from spikescan.stream.program import Program
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
from spikescan.stream.reference import whole_power

PADDED, BYTES = 16, 64
"""Rows are padded to whole vectors of this many numbers, and bytes; the C source's."""
OPERATIONS: tuple[type[Record], ...] = (
    *(Dense, Lookup, Synapse, Synapse8, Affine, Residual, Gelu, Mean),
    *(Spatial, LIF, PRF, ALIF, DSN, Diagonal, LowRank, Draw),
)
"""Records in the order of the C source's operations."""
FIELDS = (
    *("op", "variant", "input", "other", "out", "inputs", "width"),
    *("state", "numbers", "bytes", "count", "power", "levels", "slot"),
)
"""Members of the C struct ``step_record``, int32 each."""
RESETS = ("none", "soft", "hard")
SOURCES = ("binary", "whole", "real")
EVALUATIONS = ("sample", "mean")


@dataclass(frozen=True, eq=False)
class Encoded:
    """The arrays."""

    records: Tensor
    """(count, fields) int32."""
    numbers: Tensor
    """float32."""
    bytes: Tensor
    """int8."""
    input: int
    """Offset of the input in a step's values."""
    output: int
    """Offset of the output in a step's values."""
    values: int
    """Numbers of a step's values."""
    state: int
    """Numbers of a stream's state."""
    places: dict[str, tuple[int, int, int]]
    """Of each record with a state: offset, rows and width of its rows, which are padded."""
    counted: tuple[str, ...]
    """Names of the records whose sources are counted, in the order of the counters."""
    fired: int
    """Most sources of a synapse."""


def padded(width: int, to: int) -> int:
    """The width of a row with its padding, a multiple of ``to``."""
    return -(-width // to) * to


def encode(program: Program, rows: int = PADDED, bytes: int = BYTES) -> Encoded:
    """Lay a program out: numbers in the order in which they are read, values where none is alive.

    A residual sum that alone reads a synapse becomes part of it. Rows are padded to a multiple of
    ``rows`` numbers, those of bytes to one of ``bytes``.
    """
    return _Layout(program, rows, bytes).encoded()


class _Layout:
    def __init__(self, program: Program, to: int, bytes_to: int) -> None:
        self.program, self.to, self.bytes_to = program, to, bytes_to
        self.numbers: list[Tensor] = []
        self.bytes: list[Tensor] = []
        self.rows: list[list[int]] = []
        self.places: dict[str, tuple[int, int, int]] = {}
        self.state = 0
        self.counted: list[str] = []
        # Offsets of values that are alive, and the last record that reads each.
        self.alive: dict[str, tuple[int, int]] = {}
        self.high = 0
        self.last = {name: i for i, record in enumerate(program) for name in record.inputs}
        self.readers: dict[str, int] = {}
        for record in program:
            for name in record.inputs:
                self.readers[name] = self.readers.get(name, 0) + 1
        self.last[program.records[-1].name] = len(program)

    def encoded(self) -> Encoded:
        program = self.program
        source = self._room(INPUT, program.inputs)
        self.last[INPUT] = len(program)  # its padding is zero, and stays
        joined: dict[str, tuple[Record, str]] = {}
        for i, record in enumerate(program):
            if isinstance(record, Residual):
                self._sum(i, record, joined)
                continue
            follower = program.records[i + 1] if i + 1 < len(program) else None
            if (
                isinstance(record, Synapse | Synapse8)
                and isinstance(follower, Residual)
                and len(follower.inputs) == 2
                and follower.inputs[1] == record.name
                and follower.inputs[0] != record.name
                and self.readers[record.name] == 1
            ):
                joined[follower.name] = (record, follower.inputs[0])
                continue
            self._emit(i, record, record.name, None)
        output = self.alive[program.records[-1].name][0]
        return Encoded(
            records=torch.tensor(self.rows, dtype=torch.int32),
            numbers=torch.cat(self.numbers or [torch.zeros(self.to)]),
            bytes=torch.cat(self.bytes or [torch.zeros(self.bytes_to, dtype=torch.int8)]),
            input=source,
            output=output,
            values=self.high,
            state=max(self.state, self.to),
            places=self.places,
            counted=tuple(self.counted),
            fired=max((padded(r.weight.shape[1], self.to) for r in program
                       if isinstance(r, Synapse | Synapse8)), default=self.to) + self.to,
        )  # fmt: skip

    def _sum(self, i: int, record: Residual, joined: dict[str, tuple[Record, str]]) -> None:
        if record.name in joined:
            synapse, other = joined[record.name]
            self._emit(i, synapse, record.name, other)
            return
        # Of many, two at a time.
        first, *others = record.inputs
        for k, other in enumerate(others):
            last = k == len(others) - 1
            name = record.name if last else f"{record.name}+{k}"
            self.last.setdefault(name, i)
            self._emit(i, record, name, other, reads=first)
            first = name

    def _emit(
        self, i: int, record: Record, name: str, other: str | None, reads: str | None = None
    ) -> None:
        reads = record.inputs[0] if reads is None else reads
        source = self.alive[reads][0]
        added = -1 if other is None else self.alive[other][0]
        out = self._room(name, record.width)
        width = self.program.inputs if reads == INPUT else self._width(reads)
        row = dict.fromkeys(FIELDS, 0) | {
            "op": OPERATIONS.index(type(record)),
            "input": source,
            "other": added,
            "out": out,
            "inputs": width,
            "width": record.width,
            "state": self.state,
            "numbers": sum(map(len, self.numbers)),
            "bytes": sum(map(len, self.bytes)),
        }
        row |= self._particular(record)
        for numbers in _numbers(record):
            self.numbers.append(_padded_rows(numbers, _filler(record), self.to))
        if isinstance(record, Synapse8):
            rows = _padded_rows(record.weight.T, 0, self.bytes_to)
            self.bytes.append(rows if self.bytes_to == 1 else _interleaved(rows))
        if record.state_rows:
            self.places[record.name] = (
                self.state,
                record.state_rows,
                padded(record.width, self.to),
            )
            self.state += record.state_rows * padded(record.width, self.to)
        self.rows.append([row[field] for field in FIELDS])
        for dead in [n for n in self.alive if self.last.get(n, -1) <= i and n != name]:
            del self.alive[dead]

    def _particular(self, record: Record) -> dict[str, int]:
        """The fields that belong to one kind of record."""
        match record:
            case Synapse() | Synapse8():
                self.counted.append(record.name)
                variant = SOURCES.index(record.source)
                return {"variant": variant, "slot": len(self.counted) - 1}
            case LIF():
                return {"variant": RESETS.index(record.reset)}
            case DSN():
                power = whole_power(record)
                return {"count": len(record.taps), "power": power, "levels": record.levels}
            case Diagonal():
                return {"count": len(record.a)}
            case LowRank():
                return {"count": len(record.d)}
            case Draw():
                return {"variant": EVALUATIONS.index(record.evaluation), "slot": record.key}
            case _:
                return {}

    def _width(self, name: str) -> int:
        base = name.partition("+")[0]
        return next(record.width for record in self.program if record.name in (name, base))

    def _room(self, name: str, width: int) -> int:
        """The lowest offset at which a row of this width meets none that is alive."""
        size, at = padded(width, self.to), 0
        for start, end in sorted(self.alive.values()):
            if at + size <= start:
                break
            at = max(at, end)
        self.alive[name] = (at, at + size)
        self.high = max(self.high, at + size)
        return at


def _filler(record: Record) -> float:
    """What stands in the padding of a record's numbers: thresholds there must not be reached."""
    return 1.0 if isinstance(record, Spatial | LIF | PRF | ALIF) else 0.0


def _padded_rows(rows: Tensor, filler: float, to: int) -> Tensor:
    rows = rows.reshape(-1, rows.shape[-1])
    out = torch.full((len(rows), padded(rows.shape[1], to)), filler, dtype=rows.dtype)
    out[:, : rows.shape[1]] = rows
    return out.flatten()


def _interleaved(rows: Tensor) -> Tensor:
    """Of every 64 bytes, 16 integers of 32 bits: channels j, 16 + j, 32 + j and 48 + j in one.

    The lower byte of each 16 bits is 128 too large.
    """
    one, two, three, four = rows.view(-1, 4, BYTES // 4).to(torch.int32).unbind(1)
    packed = (one + 128) | (two & 255) << 8 | (three + 128) << 16 | four << 24
    return packed.view(torch.int8).flatten()


_NUMBERS: dict[type[Record], Callable[..., tuple[Tensor, ...]]] = {
    Dense: lambda r: (r.bias, r.weight.T),
    Lookup: lambda r: (r.table,),
    Synapse: lambda r: (r.bias, r.weight.T),
    Synapse8: lambda r: (r.scale, r.bias),
    Affine: lambda r: (r.gain, r.bias),
    Spatial: lambda r: (r.threshold,),
    LIF: lambda r: (r.beta, r.threshold, r.v_reset),
    PRF: lambda r: (r.p, r.q, r.threshold),
    ALIF: lambda r: (r.beta, r.rho, r.strength, r.threshold),
    DSN: lambda r: (r.power, r.bias, r.taps),
    Diagonal: lambda r: (r.skip, r.a, r.c),
    LowRank: lambda r: (r.skip, r.d, r.b, r.p, r.e, r.c),
}


def _numbers(record: Record) -> tuple[Tensor, ...]:
    """A record's numbers, in the order in which the C source has them."""
    get = _NUMBERS.get(type(record))
    return () if get is None else get(record)
