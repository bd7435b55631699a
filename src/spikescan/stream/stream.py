"""Running a program step by step, on compiled code that adds where there are spikes."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

from spikescan.ops._core import validate
from spikescan.ops._core.cpu import call as native
from spikescan.ops._core.cpu.library import library
from spikescan.stream.encode import encode
from spikescan.stream.program import Program, checked
from spikescan.stream.records import ProgramState

TILE = 32
"""Most steps that go through a record before the next one is looked at: its weights stay near."""


class Counts(NamedTuple):
    """What drove one synapse, of each stream."""

    fired: Tensor
    """(S,) int64, sources that were not zero, over all steps."""
    total: Tensor
    """(S,) int64, what whole-number spikes came to; as ``fired`` for others."""


class Stream:
    """Independent streams through one program, with outputs as soon as inputs come.

    Memory does not grow. A chunk of any size gives the bits of :meth:`Program.run`. Work is done
    where there are spikes: a synapse adds the weight rows of the neurons that fired.

    Args:
        program: what :func:`spikescan.fold` made.
        streams: number of streams S, each with its own state and clock; they share out the threads
            of ``torch.get_num_threads()``.
        keys: of the random numbers (S, random_keys) int64; None draws them from torch's generator.

    Raises:
        TypeError: ``program`` is no program.
        ValueError: an argument is out of range.
        RuntimeError: the package was installed without compiled kernels; :meth:`Program.run` works.

    >>> from spikescan.models import SDTCM, Classifier
    >>> from spikescan.stream import fold
    >>> stream = Stream(fold(Classifier(SDTCM, features=32).eval()))
    >>> stream.push(torch.randn(100, 1)).shape, stream.push(torch.randn(1, 1)).shape
    (torch.Size([100, 10]), torch.Size([1, 10]))
    """

    def __init__(self, program: Program, streams: int = 1, *, keys: Tensor | None = None) -> None:
        if streams < 1 or streams != int(streams):
            raise ValueError(f"streams must be a whole number of at least 1, got {streams}")
        self.program, self.streams = checked(program), streams
        self._encoded = code = encode(program)
        self._widths = {record.name: record.width for record in program}
        self._run = library().spikescan_program_run_f32
        self._state = torch.zeros(streams, code.state)
        self._clock = torch.zeros(streams, dtype=torch.int64)
        self._counts = torch.zeros(streams, max(1, len(code.counted)), 2, dtype=torch.int64)
        # All zero: what is beyond a row's channels is read, and must be finite.
        self._values = torch.zeros(streams, code.values * TILE)
        self._fired = torch.zeros(streams, code.fired, dtype=torch.int32)
        self._keys = program.rest(streams, keys).keys.contiguous()
        layout = native.layout("program")
        self._at = {name: place.word for name, place in layout.places.items()}
        self._words = (ctypes.c_int64 * len(layout.words))()
        """The memory of the C struct ``program_args``."""
        self._set(
            records=code.records.data_ptr(),
            numbers=code.numbers.data_ptr(),
            bytes=code.bytes.data_ptr(),
            keys=self._keys.data_ptr(),
            state=self._state.data_ptr(),
            clock=self._clock.data_ptr(),
            counts=self._counts.data_ptr(),
            values=self._values.data_ptr(),
            fired=self._fired.data_ptr(),
            S=streams,
            count=len(code.records),
            inputs=program.inputs,
            outputs=program.outputs,
            input=code.input,
            output=code.output,
            width=code.values,
            tile=TILE,
            vocabulary=program.vocabulary or 0,
            state_size=code.state,
            keys_size=self._keys.shape[1],
            counts_size=self._counts[0].numel(),
            fired_size=code.fired,
        )

    def _set(self, **fields: int) -> None:
        for name, value in fields.items():
            self._words[self._at[name]] = value

    def push(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Read the next steps and return the output of each.

        Args:
            x: real input (S, T, inputs) or tokens (S, T); with one stream (T, inputs) or (T,) too.
            lengths: number of steps for each stream (S,), None for all T.

        Returns:
            Outputs (S, T, outputs) float32, zero beyond a stream's length; (T, outputs) for x
            without S. Where numbers became too large for float32, outputs are not finite from then
            on, until :meth:`reset`.

        Raises:
            TypeError: x or lengths is no tensor.
            ValueError: x has another shape or dtype, is not finite or holds an unknown token; then
                no stream has moved.
        """
        validate.tensor("x", x)
        tokens = self.program.vocabulary is not None
        single = x.ndim == (1 if tokens else 2)
        if single:
            if self.streams != 1:
                self._refuse(x)
            x = x.unsqueeze(0)
        if x.shape[0] != self.streams or x.ndim != (2 if tokens else 3):
            self._refuse(x)
        if not tokens and x.shape[2] != self.program.inputs:
            self._refuse(x)
        if x.is_floating_point() == tokens or not x.is_cpu:
            self._refuse(x)
        x = x.to(torch.int64 if tokens else torch.float32).contiguous()
        shape = (self.streams, x.shape[1], self.program.outputs)
        y = torch.empty(shape) if lengths is None else torch.zeros(shape)
        threads = min(self.streams, torch.get_num_threads()) if self.streams > 1 else 1
        steps = None if lengths is None else self._lengths(lengths, x.shape[1])
        self._set(x=x.data_ptr(), y=y.data_ptr(), T=x.shape[1], threads=threads)
        self._set(has_lengths=0 if steps is None else 1)
        if steps is not None:
            self._set(lengths=steps.data_ptr())
        self._run(self._words)
        bad = self._words[self._at["bad_stream"]]
        if bad >= 0:
            step = self._words[self._at["bad_step"]]
            what, got = "a known token" if tokens else "finite", x[bad, step].tolist()
            raise ValueError(f"x must be {what}, got {got} at step {step} of stream {bad}")
        return y[0] if single else y

    def reset(self, stream: int | None = None) -> None:
        """Put one stream, or all, back to rest; random keys and counts stay.

        Raises:
            ValueError: there is no such stream.
        """
        if stream is not None and not 0 <= stream < self.streams:
            raise ValueError(f"stream must be within 0 .. {self.streams - 1}, got {stream}")
        which = slice(None) if stream is None else stream
        self._state[which] = 0
        self._clock[which] = 0

    def state(self) -> dict[str, Tensor]:
        """All that the streams carry, by name: ``RECORD.state`` (S, rows, D) float32, ``clock``
        (S,) and ``keys`` (S, random_keys) int64. They are copies, on their own."""
        rows = {f"{name}.state": self._rows(name).clone() for name in self._encoded.places}
        return rows | {"clock": self._clock.clone(), "keys": self._keys.clone()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state that :meth:`state` gave.

        Raises:
            ValueError: a name is missing or unknown, a tensor has another shape or dtype, a number
                is not finite, or a clock is negative.
        """
        own = self.state()
        if state.keys() != own.keys():
            odd = ", ".join(sorted(state.keys() ^ own.keys()))
            raise ValueError(f"state must have the names of state(); not in both: {odd}")
        for name, value in own.items():
            if state[name].shape != value.shape or state[name].dtype != value.dtype:
                raise ValueError(
                    f"state {name} must be {value.dtype} of shape {tuple(value.shape)}, got "
                    f"{state[name].dtype} of shape {tuple(state[name].shape)}"
                )
            if not bool(state[name].isfinite().all()):
                raise ValueError(f"state {name} must be finite")
        if bool((state["clock"] < 0).any()):
            raise ValueError(f"state clock must be at least 0, got {state['clock'].tolist()}")
        for name in self._encoded.places:
            self._rows(name).copy_(state[f"{name}.state"])
        self._clock.copy_(state["clock"])
        self._keys.copy_(state["keys"])

    def program_state(self) -> ProgramState:
        """The same state as :meth:`Program.run` takes it."""
        state = self.state()
        rows = {name: state[f"{name}.state"] for name in self._encoded.places}
        return ProgramState(rows, state["clock"], state["keys"])

    @property
    def clock(self) -> Tensor:
        """Steps that each stream has read (S,) int64."""
        return self._clock.clone()

    def counts(self) -> dict[str, Counts]:
        """What each synapse was driven by since the streams were made, by its record's name."""
        made = self._counts.clone()
        return {
            name: Counts(made[:, i, 0], made[:, i, 1])
            for i, name in enumerate(self._encoded.counted)
        }

    def _rows(self, name: str) -> Tensor:
        """The state rows of a record (S, rows, D), in place."""
        at, rows, width = self._encoded.places[name]
        padded = self._state[:, at : at + rows * width].unflatten(1, (rows, width))
        return padded[..., : self._widths[name]]

    def _lengths(self, lengths: Tensor, steps: int) -> Tensor:
        validate.tensor("lengths", lengths)
        if lengths.shape != (self.streams,) or lengths.is_floating_point():
            raise ValueError(
                f"lengths must be whole numbers of shape ({self.streams},), got {lengths.dtype} of "
                f"shape {tuple(lengths.shape)}"
            )
        if int(lengths.min()) < 0 or int(lengths.max()) > steps:
            raise ValueError(
                f"lengths must lie in 0..T = {steps}, got {int(lengths.min())}.."
                f"{int(lengths.max())}"
            )
        return lengths.to(torch.int64).contiguous()

    def _refuse(self, x: Tensor) -> NoReturn:
        tokens = self.program.vocabulary is not None
        shape = f"({self.streams}, T)" if tokens else f"({self.streams}, T, {self.program.inputs})"
        due = "tokens of an integer dtype" if tokens else "real input"
        raise ValueError(
            f"x must be {due} {shape} on the CPU, got {x.dtype} {tuple(x.shape)} on {x.device}"
        )
