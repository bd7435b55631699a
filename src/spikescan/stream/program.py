"""A folded network: what the runtime, quantisation and exports read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spikescan.models.walk import INPUT
from spikescan.ops._core import validate
from spikescan.ops.bernoulli import fresh_keys
from spikescan.stream.quantize import quantized
from spikescan.stream.records import Draw, ProgramState, Record, Synapse8
from spikescan.stream.reference import compute


@dataclass(frozen=True, eq=False)
class Program:
    """A network as a flat list of records, in the order in which they are computed.

    Made by :func:`spikescan.fold`. The last record gives the output of every step: of a network
    that reads the mean or the last step, that for the sequence so far.
    """

    records: tuple[Record, ...]
    inputs: int
    """Channels of the input; 1 for tokens."""
    vocabulary: int | None = None
    """Number of different tokens, or None for real input."""

    def __post_init__(self) -> None:
        if not self.records:
            raise ValueError("records must hold at least one record")
        known = {INPUT}
        for record in self.records:
            for name in record.inputs:
                if name not in known:
                    raise ValueError(f"{record.name} reads {name}, which nothing before it makes")
            if record.name in known:
                raise ValueError(f"two records are called {record.name}")
            known.add(record.name)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def outputs(self) -> int:
        """Numbers of the output of a step."""
        return self.records[-1].width

    @property
    def random_keys(self) -> int:
        """Keys of random numbers that a sequence takes."""
        return sum(isinstance(r, Draw) and r.evaluation == "sample" for r in self.records)

    def rest(self, batch: int, keys: Tensor | None = None) -> ProgramState:
        """The state of ``batch`` sequences before their first step.

        Args:
            batch: number of sequences B.
            keys: of the random numbers (B, random_keys) int64; None draws them from torch's
                generator.

        Raises:
            ValueError: the keys have another shape or dtype.
        """
        due = (batch, self.random_keys)
        if keys is None:
            keys = fresh_keys(*due, torch.device("cpu"))
        elif keys.shape != due or keys.dtype != torch.int64:
            raise ValueError(
                f"keys must be int64 of shape {due}, got {keys.dtype} of shape {tuple(keys.shape)}"
            )
        rows = {
            record.name: torch.zeros(batch, record.state_rows, record.width)
            for record in self.records
            if record.state_rows
        }
        return ProgramState(rows, torch.zeros(batch, dtype=torch.int64), keys.clone())

    def check_input(self, x: Tensor) -> None:
        """Refuse what is not a batch of sequences that the program reads.

        Raises:
            TypeError: x is no tensor.
            ValueError: x has another shape or dtype, is not finite, or a token does not exist.
        """
        validate.tensor("x", x)
        if self.vocabulary is not None:
            if x.ndim != 2 or x.is_floating_point():
                raise ValueError(
                    f"x must be tokens (B, T) of an integer dtype, got {x.dtype} {tuple(x.shape)}"
                )
            if x.numel() and not (int(x.min()) >= 0 and int(x.max()) < self.vocabulary):
                raise ValueError(
                    f"x must hold tokens 0 .. {self.vocabulary - 1}, got {int(x.min())} .. "
                    f"{int(x.max())}"
                )
        elif x.ndim != 3 or x.shape[2] != self.inputs or not x.is_floating_point():
            raise ValueError(
                f"x must be real input (B, T, {self.inputs}), got {x.dtype} {tuple(x.shape)}"
            )
        elif not bool(x.float().isfinite().all()):  # in float32, as it is read
            raise ValueError("x must be finite")

    def run(
        self, x: Tensor, state: ProgramState | None = None, *, keys: Tensor | None = None
    ) -> tuple[Tensor, ProgramState]:
        """Run whole sequences in plain torch: the oracle of all faster ways.

        Args:
            x: real input (B, T, inputs), or tokens (B, T).
            state: before the first step, None for rest.
            keys: random keys of a rested state, see :meth:`rest`.

        Returns:
            Output of every step (B, T, outputs) float32, and the state after the last.

        Raises:
            ValueError: the input, the state or the keys do not fit.
        """
        values, state = self.trace(x, state, keys=keys)
        return values[self.records[-1].name], state

    @torch.no_grad()
    def trace(
        self, x: Tensor, state: ProgramState | None = None, *, keys: Tensor | None = None
    ) -> tuple[Mapping[str, Tensor], ProgramState]:
        """As :meth:`run`, with the value of every record (B, T, D), by its name."""
        self.check_input(x)
        if state is None:
            state = self.rest(len(x), keys)
        elif keys is not None:
            raise ValueError("keys are those of a rested state; give them or a state")
        elif len(state.clock) != len(x):
            raise ValueError(f"state must be that of {len(x)} sequences, got {len(state.clock)}")
        elif (got := _shapes(state)) != (due := _shapes(self.rest(len(x), state.keys))):
            raise ValueError(f"state must have the rows {due}, got {got}")
        # As an index, bytes and truth values would be a mask.
        values: dict[str, Tensor] = {INPUT: x.long() if self.vocabulary is not None else x.float()}
        rows: dict[str, Tensor] = {}
        for record in self.records:
            given = [values[name] for name in record.inputs]
            values[record.name], after = compute(record, given, state)
            if record.state_rows:
                rows[record.name] = after
        steps = x.shape[1]
        return values, ProgramState(rows, state.clock + steps, state.keys)

    def quantize(self, calibration: Tensor) -> Program:
        r"""Round the weights that spikes drive to integers of 8 bits.

        .. math:: y_m = \sigma_m \sum_{k:\, s_k \ne 0} s_k n_{mk} + b_m, \qquad
            n_{mk} \in \{-127, \dots, 127\}

        The sums are exact in integers, as spikes are whole numbers; membranes, the stream, encoder
        and head stay float32, and so do products of real messages. The scale σ of each output is
        the one of 13 whose sums are nearest to those of the weights on the calibration data, and
        the bias takes out what rounding adds on average.

        Args:
            calibration: sequences (B, T, inputs) or tokens (B, T) as the network will read.

        Raises:
            ValueError: the sequences do not fit, or hold no step; spikes drive no weight, as where
                all neurons pass on probabilities; or outputs are not finite.
        """
        values, _ = self.trace(calibration)
        if not calibration.shape[0] * calibration.shape[1]:
            raise ValueError(
                f"calibration must hold at least one step, got shape {tuple(calibration.shape)}"
            )
        if not bool(values[self.records[-1].name].isfinite().all()):
            raise ValueError("calibration must give finite outputs, got some that are not")
        records = quantized(self.records, values)
        if not any(isinstance(record, Synapse8) for record in records):
            raise ValueError(
                "the program has no weight that spikes drive, to be made one of 8 bits; where "
                'neurons fire at random, fold with evaluation="sample"'
            )
        return replace(self, records=records)


def _shapes(state: ProgramState) -> dict[str, tuple[int, ...]]:
    return {name: tuple(rows.shape) for name, rows in state.rows.items()}


def checked(program: object) -> Program:
    """The program, or the error that says what came in its place: often the network itself."""
    if not isinstance(program, Program):
        raise TypeError(
            f"program must be a Program, which spikescan.fold makes, got a {type(program).__name__}"
        )
    return program
