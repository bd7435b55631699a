"""What a benchmark case is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

OURS = "spikescan"
"""Name of the contender that a case is about."""
YARDSTICK = "clone + add"
"""Name of PF: the time of ``x.clone()`` plus ``torch.add(g, x)`` on fresh tensors."""
COPY = "copy"
"""Name of the copy between two kept tensors, from which the copy rate follows."""

Outputs = tuple[Tensor, ...]
"""What a timed function computes: spikes (B, T, D), gradient of the input (B, T, D), others."""
Run = Callable[[], Outputs]
"""A function to time; its inputs are made beforehand."""
Runs = Mapping[str, Run]
Measured = Mapping[str, float]
"""Median seconds by contender, and facts by name."""


class Wrong(Exception):
    """A result is not what it has to be: the case is not timed."""


class CannotMeasure(Exception):
    """This machine cannot measure it; the message says why."""


@dataclass(frozen=True)
class Shape:
    """Size of the sequences (B, T, D) that a case runs on, and the device that holds them."""

    steps: int
    batch: int
    features: int
    device: str = "cpu"

    @property
    def elements(self) -> int:
        return self.steps * self.batch * self.features

    def __str__(self) -> str:
        place = "" if self.device == "cpu" else f", {self.device}"
        return f"T={self.steps:,}, {self.batch}x{self.features}{place}"


class Make(Protocol):
    """Prepares a contender: makes inputs of a shape and returns the function to time."""

    def __call__(self, shape: Shape, /) -> Run: ...


@dataclass(frozen=True)
class Contender:
    """One of the alternatives that a case times against each other.

    Args:
        name: name in tables and results.
        make: prepares the function to time.
        peer: key in :data:`spikescan.bench.peers.PEERS` of the library it needs, None for none.
        setting: how it is set up, for the reader of the results.
        at_most: most repeats, for a peer whose run takes seconds.
        most_steps: longest T that fits into memory; beyond it a sweep leaves it out.
    """

    name: str
    make: Make
    peer: str | None = None
    setting: str = ""
    at_most: int = 100
    most_steps: int | None = None


@dataclass(frozen=True)
class Goal:
    """A number that a case must reach.

    Args:
        what: what the number is, for the reader of the results.
        value: computes it from what was measured.
        uses: what must have been measured for that.
        required: the bound.
        stretch: the bound hoped for.
        at_least: whether the number must be at least the bound; otherwise at most.
        percent: the number is a fraction to be written in percent.
    """

    what: str
    value: Callable[[Measured], float]
    uses: tuple[str, ...]
    required: float
    stretch: float | None = None
    at_least: bool = True
    percent: bool = False


@dataclass(frozen=True)
class Case:
    """One row of the suite.

    Args:
        name: how the command line calls it.
        title: one line for people.
        shape: the shape the goals are about.
        quick: a smaller shape, for a quick run.
        check: compares results with an independent computation and tells what it found; raises
            :class:`Wrong`. It is given the very functions that are timed after it.
        contenders: what is timed, ours first.
        facts: measures what a clock cannot; may raise :class:`Wrong` or :class:`CannotMeasure`.
        goals: what is required; without any the case informs only.
        bytes_an_element: the fewest bytes that ours must move for an element, 0 for no floor.
        sweep: run at each of these multiples of T, and leave out contenders as they get slow.
    """

    name: str
    title: str
    shape: Shape
    quick: Shape
    check: Callable[[Shape, Runs], str]
    contenders: tuple[Contender, ...] = ()
    facts: Callable[[Shape], dict[str, float]] | None = None
    goals: tuple[Goal, ...] = ()
    bytes_an_element: int = 0
    sweep: tuple[int, ...] = ()


def faster(*peers: str, required: float, stretch: float | None = None, called: str = "") -> Goal:
    """The fastest of these contenders takes at least ``required`` times as long as ours."""
    return Goal(
        f"{called or peers[0]} / ours",
        lambda m: min(m[p] for p in peers) / m[OURS],
        (OURS, *peers),
        required,
        stretch,
    )


def within(base: str, *, required: float, stretch: float | None = None) -> Goal:
    """Ours takes at most ``required`` times as long as this contender."""
    return Goal(
        f"ours / {base}",
        lambda m: m[OURS] / m[base],
        (OURS, base),
        required,
        stretch,
        at_least=False,
    )
