"""What reads a network's stream: one output for the sequence so far, or one for every step.

``out, state = head(stream, state, lengths)`` keeps the contract of neurons, though the outputs
of all but :class:`StepHead` have no axis of time.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spikescan.models.blocks.base import check_stream
from spikescan.models.norm import inside, without_padding
from spikescan.models.walk import Trail
from spikescan.neurons.base import Recurrent
from spikescan.ops._core import validate


class Head(Recurrent):
    """A linear readout of ``outputs`` numbers from a stream (B, T, ``features``)."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        for name, value in (("features", features), ("outputs", outputs)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.features, self.outputs = features, outputs
        self.linear = nn.Linear(features, outputs)

    @abstractmethod
    def forward(
        self, x: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Read a stream x (B, T, D) from ``state``; return the output and the new state."""

    @abstractmethod
    def parts(self, trail: Trail, x: str) -> str:
        """Add what the head computes to a trail, see :func:`~spikescan.models.walk`."""

    def step(self, x_t: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Read one step x_t (B, D) from ``state``; return the output (B, outputs), the state."""
        return self(x_t.unsqueeze(1), state)

    def enter(
        self, x: Tensor, state: Any, kind: type, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The stream with zeros in its padding, and the lengths, both checked."""
        check_stream(x, self.features)
        self.require_state(state, kind)
        lengths = validate.valid_lengths(lengths, x)
        return without_padding(x, lengths), lengths


class MeanHeadState(NamedTuple):
    """State of :class:`MeanHead`."""

    total: Tensor
    """(B, D), sum of the stream over the steps so far, float64."""
    steps: Tensor
    """(B,) int64, number of steps so far."""


class MeanHead(Head):
    r"""Linear readout of the mean over the steps so far.

    .. math:: y_t = W \frac{1}{t} \sum_{j \le t} x_j + b

    Of a sequence it gives one output (B, outputs), of a step the output for all that was read up to
    there. The sum is carried in float64, so that as many steps as one likes, in any precision, give
    the mean of the whole.

    Args:
        features: width D of the stream.
        outputs: numbers of the output.

    Raises:
        ValueError: an argument is out of range, or the stream has another shape.

    >>> out, state = MeanHead(8, 3)(torch.randn(2, 50, 8))
    >>> out.shape, state.steps
    (torch.Size([2, 3]), tensor([50, 50]))
    """

    def parts(self, trail: Trail, x: str) -> str:
        return trail.dense("linear", trail.pool("mean", x))

    def forward(
        self, x: Tensor, state: MeanHeadState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, MeanHeadState]:
        x, lengths = self.enter(x, state, MeanHeadState, lengths)
        total = x.sum(1, dtype=validate.accumulator(x.dtype)).double()
        steps = torch.full(x.shape[:1], x.shape[1], device=x.device) if lengths is None else lengths
        if state is not None:
            total, steps = state.total + total, state.steps + steps
        mean = total / steps.clamp(min=1).unsqueeze(-1)
        return self.linear(mean.to(x.dtype)), MeanHeadState(total, steps)


class LastHeadState(NamedTuple):
    """State of :class:`LastHead`."""

    last: Tensor
    """(B, D), the stream at the last step; at least float32, zero where there was none yet."""


class LastHead(Head):
    r"""Linear readout of the last step.

    .. math:: y_t = W x_t + b

    Of a sequence it gives one output (B, outputs), that of each row's last valid step.

    Args:
        features: width D of the stream.
        outputs: numbers of the output.

    Raises:
        ValueError: an argument is out of range, or the stream has another shape.

    >>> out, state = LastHead(8, 3)(torch.randn(2, 50, 8))
    >>> out.shape
    torch.Size([2, 3])
    """

    def parts(self, trail: Trail, x: str) -> str:
        return trail.dense("linear", trail.pool("last", x))

    def forward(
        self, x: Tensor, state: LastHeadState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, LastHeadState]:
        x, lengths = self.enter(x, state, LastHeadState, lengths)
        dtype = validate.accumulator(x.dtype)
        last = x.new_zeros(x.shape[0], self.features, dtype=dtype) if state is None else state.last
        seen = torch.cat((last.to(dtype).unsqueeze(1), x.to(dtype)), 1)
        if lengths is None:
            last = seen[:, -1]
        else:
            last = seen.gather(1, lengths[:, None, None].expand(-1, 1, self.features)).squeeze(1)
        return self.linear(last.to(x.dtype)), LastHeadState(last)


class WindowHeadState(NamedTuple):
    """State of :class:`WindowHead`."""

    past: Tensor
    """(B, K, D), the stream at the last K steps, the oldest first; at least float32, zero before
    the first step."""


class WindowHead(Head):
    r"""Linear readout of the last steps, each with weights of its own.

    .. math:: y_t = \sum_{k < K} W_k x_{t-k} + b

    Of a sequence it gives one output (B, outputs), that at each row's last valid step; before the
    first step x is zero. ``linear`` reads the steps end to end, the oldest first.

    Args:
        features: width D of the stream.
        outputs: numbers of the output.
        steps: K.

    Raises:
        ValueError: an argument is out of range, or the stream has another shape.

    Source: the readout of a whole window that linear forecasters have (Zeng et al. 2022, arXiv
    2205.13504), and transformers after them (Nie et al. 2023, arXiv 2211.14730).

    >>> out, state = WindowHead(8, 3, steps=50)(torch.randn(2, 50, 8))
    >>> out.shape, state.past.shape
    (torch.Size([2, 3]), torch.Size([2, 50, 8]))
    """

    def __init__(self, features: int, outputs: int, *, steps: int) -> None:
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        super().__init__(features, outputs)
        self.linear = nn.Linear(steps * features, outputs)
        self.steps = steps

    def parts(self, trail: Trail, x: str) -> str:
        return trail.dense("linear", trail.pool("window", x, steps=self.steps))

    def forward(
        self, x: Tensor, state: WindowHeadState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, WindowHeadState]:
        x, lengths = self.enter(x, state, WindowHeadState, lengths)
        dtype = validate.accumulator(x.dtype)
        size = (x.shape[0], self.steps, self.features)
        past = x.new_zeros(size, dtype=dtype) if state is None else state.past
        if past.shape != size:
            raise ValueError(f"state.past must have shape {size}, got {tuple(past.shape)}")
        seen = torch.cat((past.to(dtype), x.to(dtype)), 1)
        if lengths is None:
            past = seen[:, x.shape[1] :]
        else:
            at = lengths[:, None] + torch.arange(self.steps, device=x.device)
            past = seen.gather(1, at.unsqueeze(-1).expand(size))
        return self.linear(past.flatten(1).to(x.dtype)), WindowHeadState(past)


class StepHeadState(NamedTuple):
    """State of :class:`StepHead`, which remembers nothing."""


class StepHead(Head):
    r"""Linear readout of every step.

    .. math:: y_t = W x_t + b

    Outputs (B, T, outputs) are zero in the padding.

    Args:
        features: width D of the stream.
        outputs: numbers of each step's output.

    Raises:
        ValueError: an argument is out of range, or the stream has another shape.

    >>> out, state = StepHead(8, 3)(torch.randn(2, 50, 8))
    >>> out.shape
    torch.Size([2, 50, 3])
    """

    def parts(self, trail: Trail, x: str) -> str:
        return trail.dense("linear", x)

    def forward(
        self, x: Tensor, state: StepHeadState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, StepHeadState]:
        x, lengths = self.enter(x, state, StepHeadState, lengths)
        out = self.linear(x)
        if lengths is not None:
            out = torch.where(inside(lengths, x.shape[1]), out, 0)
        return out, StepHeadState()

    def step(self, x_t: Tensor, state: StepHeadState | None = None) -> tuple[Tensor, StepHeadState]:
        out, new = self(x_t.unsqueeze(1), state)
        return out.squeeze(1), new
