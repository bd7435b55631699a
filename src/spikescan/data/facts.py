"""What is known of a data set before it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from spikescan.data.root import DataError


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
        if y.ndim != 1 or y.is_floating_point():
            raise DataError(
                f"labels of the {part} data must be integers of shape (N,), got {y.dtype} "
                f"{tuple(y.shape)}"
            )
        wrong = ((y < 0) | (y >= len(self.names))).nonzero()
        if len(wrong):
            item = int(wrong[0])
            raise DataError(
                f"labels of the {part} data must be within 0 .. {len(self.names) - 1}, as there "
                f"are {len(self.names)} class names; item {item} has label {int(y[item])}"
            )


@dataclass(frozen=True)
class Horizon(Target):
    """The next values of a series: y (B, steps, channels) float32.

    Args:
        steps: Number of values ahead, H.
        channels: Name of each predicted channel. They are the first channels of the input.
    """

    steps: int
    channels: tuple[str, ...]

    def check(self, y: Tensor, part: str) -> None:
        """Compare the shape of targets (N, steps, channels); see :meth:`Target.check`."""
        expected = (self.steps, len(self.channels))
        if y.ndim != 3 or tuple(y.shape[1:]) != expected or not y.is_floating_point():
            raise DataError(
                f"targets of the {part} data must be real values of shape (N, {expected[0]}, "
                f"{expected[1]}), got {y.dtype} {tuple(y.shape)}"
            )


@dataclass(frozen=True)
class Facts:
    """What a network and a task have to know of the data, before anything is read.

    Args:
        target: What is to be predicted.
        length: Largest number of steps T of a sequence.
        inputs: Number of input channels D; 1 for tokens.
        vocabulary: Number of different tokens, or ``None`` for real-valued input.
    """

    target: Target
    length: int
    inputs: int = 1
    vocabulary: int | None = None
