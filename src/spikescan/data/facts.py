"""What is known of a data set before it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from spikescan.data.root import DataError

Unit = Literal["byte", "character", "word"]
"""What one token of a text is."""
Standardised = Literal["whole", "own"] | tuple[float, float]
"""By what a sequence is scaled: its own mean and standard deviation, numbers of the data set's own,
or these two."""


class Target(ABC):
    """What a data set asks to be predicted; each kind of task has its own subclass."""

    @abstractmethod
    def check(self, y: Tensor, part: str) -> None:
        """Compare the targets of a part of the data with what was promised.

        Args:
            y: Targets (N, ...), the first dimension counting the items.
            part: Name of the part, for the message.

        Raises:
            DataError: A target has another shape, or a value that cannot be.
        """


@dataclass(frozen=True)
class Classes(Target):
    """One of several classes: y (B,) int64.

    Args:
        names: Name of each class.
    """

    names: tuple[str, ...]

    def check(self, y: Tensor, part: str) -> None:
        """Compare labels (N,) with the number of classes; see :meth:`Target.check`."""
        _check_labels(y, self.names, part)


@dataclass(frozen=True)
class PairClasses(Target):
    """One of several classes for two sequences together: y (B,) int64.

    A batch holds the sequences one below the other: x (2B, T, D) or (2B, T), of which rows 2i and
    2i + 1 belong to y[i]; see :class:`~spikescan.data.PairSequences`.

    Args:
        names: Name of each class.
    """

    names: tuple[str, ...]

    def check(self, y: Tensor, part: str) -> None:
        """Compare labels (N,) with the number of classes; see :meth:`Target.check`."""
        _check_labels(y, self.names, part)


@dataclass(frozen=True)
class Values(Target):
    """Real values about the whole sequence: y (B, C) float32.

    Args:
        names: Name of each of the C values.
    """

    names: tuple[str, ...]

    def check(self, y: Tensor, part: str) -> None:
        """Compare the shape of targets (N, C); see :meth:`Target.check`."""
        if y.ndim != 2 or y.shape[1] != len(self.names) or not y.is_floating_point():
            raise DataError(
                f"targets of the {part} data must be real values of shape (N, {len(self.names)}), "
                f"got {y.dtype} {tuple(y.shape)}"
            )
        if not bool(y.isfinite().all()):
            raise DataError(f"targets of the {part} data must be finite")


@dataclass(frozen=True)
class StepClasses(Target):
    """One of several classes at every step: y (B, T) int64; of the padding nothing is asked.

    Args:
        names: Name of each class.
    """

    names: tuple[str, ...]

    def check(self, y: Tensor, part: str) -> None:
        """Compare labels (N, T) with the number of classes; see :meth:`Target.check`."""
        if y.ndim != 2:
            raise DataError(
                f"labels of the {part} data must be integers of shape (N, T), got {y.dtype} "
                f"{tuple(y.shape)}"
            )
        _check_labels(y.flatten(), self.names, part)


@dataclass(frozen=True)
class Horizon(Target):
    """The next values of a series: y (B, steps, channels) float32.

    Args:
        steps: Number of values ahead, H.
        channels: Name of each predicted channel. They are the first channels of the input.
        apart: Whether each channel goes through the network by itself, as a series of its own.
    """

    steps: int
    channels: tuple[str, ...]
    apart: bool = False

    def check(self, y: Tensor, part: str) -> None:
        """Compare the shape of targets (N, steps, channels); see :meth:`Target.check`."""
        expected = (self.steps, len(self.channels))
        if y.ndim != 3 or tuple(y.shape[1:]) != expected or not y.is_floating_point():
            raise DataError(
                f"targets of the {part} data must be real values of shape (N, {expected[0]}, "
                f"{expected[1]}), got {y.dtype} {tuple(y.shape)}"
            )


@dataclass(frozen=True)
class NextToken(Target):
    """The next token at every step of a text: y (B, T) int64 is x (B, T) one step on.

    Args:
        names: What each token of the vocabulary stands for.
        unit: What one token is.
        carried: Whether row i of a training batch goes on where row i of the batch before ended,
            so that a state can be carried from one to the next.
    """

    names: tuple[str, ...]
    unit: Unit
    carried: bool = False

    def encode(self, text: str) -> Tensor:
        """Tokens (T,) int64 of a text; a line of words ends with ``<eos>``.

        Raises:
            ValueError: something in it is not in the vocabulary, which has no ``<unk>``.

        >>> NextToken(("a", "b"), "character").encode("abba").tolist()
        [0, 1, 1, 0]
        """
        if self.unit == "byte":
            return torch.tensor(list(text.encode()), dtype=torch.int64)
        number = {name: i for i, name in enumerate(self.names)}
        pieces = split_words(text) if self.unit == "word" else list(text)
        unknown = number.get("<unk>") if self.unit == "word" else None
        tokens = [number.get(piece, unknown) for piece in pieces]
        if None in tokens:
            missing = pieces[tokens.index(None)]
            raise ValueError(f"{self.unit} {missing!r} is not in the vocabulary")
        return torch.tensor(tokens, dtype=torch.int64)

    def decode(self, tokens: Tensor) -> str:
        """The text of tokens (T,); bytes that are no UTF-8 become the replacement character."""
        if self.unit == "byte":
            return bytes(tokens.tolist()).decode(errors="replace")
        pieces = [self.names[token] for token in tokens.tolist()]
        if self.unit == "character":
            return "".join(pieces)
        return " ".join(pieces).replace(" <eos> ", "\n").replace(" <eos>", "\n")

    def check(self, y: Tensor, part: str) -> None:
        """Compare tokens (N, T) with the vocabulary; see :meth:`Target.check`."""
        if y.ndim != 2 or y.is_floating_point():
            raise DataError(
                f"targets of the {part} data must be integers of shape (N, T), got {y.dtype} "
                f"{tuple(y.shape)}"
            )
        if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < len(self.names):
            raise DataError(
                f"targets of the {part} data must be within 0 .. {len(self.names) - 1}, the "
                f"vocabulary, got {int(y.min())} .. {int(y.max())}"
            )


@dataclass(frozen=True)
class Actions(Target):
    """What to do at every step of an episode: y (B, T) int64, one of several actions, or
    (B, T, A) float32, values.

    A policy reads at each step the return that is still wanted, what it observes, and what it did
    last; see :meth:`steps`.

    Args:
        env: Name of the environment, as Gymnasium has it.
        names: Name of each action, where it is one of several.
        low: Least value of each of the A values of an action, where it is values.
        high: Greatest value of each.
    """

    env: str
    names: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """Numbers that say an action: one for each action, or each value."""
        return len(self.names) or len(self.low)

    def steps(self, to_go: Tensor, observed: Tensor, last: Tensor) -> Tensor:
        """What a policy reads, (N, 1 + D + width) float32.

        Args:
            to_go: Return that is still wanted (N,).
            observed: Observations (N, D).
            last: Actions of the step before, (N,) int64 with -1 for none, or (N, A) with zeros.

        >>> target = Actions("CartPole-v1", ("left", "right"))
        >>> target.steps(torch.tensor([5.0]), torch.tensor([[0.5]]), torch.tensor([1])).tolist()
        [[5.0, 0.5, 0.0, 1.0]]
        """
        if self.names:
            last = (last.unsqueeze(-1) == torch.arange(len(self.names), device=last.device)).float()
        return torch.cat((to_go.unsqueeze(-1).float(), observed.float(), last.float()), -1)

    def check(self, y: Tensor, part: str) -> None:
        """Compare actions (N, T) or (N, T, A) with what there is; see :meth:`Target.check`."""
        good = (
            y.ndim == 2 and not y.is_floating_point()
            if self.names
            else y.ndim == 3 and y.shape[2] == self.width and y.is_floating_point()
        )
        if not good:
            wanted = "integers of shape (N, T)" if self.names else f"values (N, T, {self.width})"
            raise DataError(
                f"actions of the {part} data must be {wanted}, got {y.dtype} {tuple(y.shape)}"
            )
        if self.names and y.numel() and not 0 <= int(y.min()) <= int(y.max()) < self.width:
            raise DataError(
                f"actions of the {part} data must be within 0 .. {self.width - 1}, got "
                f"{int(y.min())} .. {int(y.max())}"
            )


def split_words(text: str) -> list[str]:
    """Words between white space, ``<eos>`` after each line but one that is not ended.

    >>> split_words("to be\\nor not")
    ['to', 'be', '<eos>', 'or', 'not']
    """
    *lines, rest = text.split("\n")
    words = [word for line in lines for word in (*line.split(), "<eos>")]
    return words + rest.split()


def _check_labels(y: Tensor, names: tuple[str, ...], part: str) -> None:
    if y.ndim != 1 or y.is_floating_point():
        raise DataError(
            f"labels of the {part} data must be integers of shape (N,), got {y.dtype} "
            f"{tuple(y.shape)}"
        )
    wrong = ((y < 0) | (y >= len(names))).nonzero()
    if len(wrong):
        item = int(wrong[0])
        raise DataError(
            f"labels of the {part} data must be within 0 .. {len(names) - 1}, as there are "
            f"{len(names)} class names; item {item} has label {int(y[item])}"
        )


@dataclass(frozen=True)
class Facts:
    """What a network and a task have to know of the data, before anything is read.

    Args:
        target: What is to be predicted.
        length: Largest number of steps T of a sequence.
        inputs: Number of input channels D; 1 for tokens.
        vocabulary: Number of different tokens, or ``None`` for real-valued input.
        frame: Consecutive samples that make a step; it has the channels of a sample ``frame``
            times.
        rate: Steps in a second, Hz; ``None`` where steps have no duration, or none is known.
        channels: Name of each of the D channels, or ``None`` where they have none.
        scaled: Whether the network is to shift and scale its input by mean and standard deviation
            of the training data, which it keeps; see :class:`spikescan.models.Scale`.
        standardised: How the data set scales recordings or pixels before the network reads them:
            "whole", each by its own mean and standard deviation; (mean, standard deviation) for
            all; "own", by other numbers of its own; None where it leaves that to the network, or
            does not scale.

    Raises:
        ValueError: There is not one name for each channel, channels do not come ``frame`` times,
            or tokens are to be scaled.
    """

    target: Target
    length: int
    inputs: int = 1
    vocabulary: int | None = None
    frame: int = 1
    rate: float | None = None
    channels: tuple[str, ...] | None = None
    scaled: bool = False
    standardised: Standardised | None = None

    def __post_init__(self) -> None:
        if self.channels is not None and len(self.channels) != self.inputs:
            raise ValueError(
                f"channels must name each of the {self.inputs} inputs, got {self.channels}"
            )
        if self.inputs % self.frame:
            raise ValueError(f"inputs must come frame = {self.frame} times, got {self.inputs}")
        if self.scaled and self.vocabulary is not None:
            raise ValueError("scaled needs real-valued input, got a vocabulary")
        apart = isinstance(self.target, Horizon) and self.target.apart
        if apart and len(self.target.channels) != self.inputs:  # type: ignore[attr-defined]
            raise ValueError(f"apart needs all of the {self.inputs} inputs to be predicted")

    @property
    def network_inputs(self) -> int:
        """Channels that the network reads at each step: all, or one where they go apart."""
        return 1 if isinstance(self.target, Horizon) and self.target.apart else self.inputs
