"""Parallel spiking neurons without recurrence: baselines to compare with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from spikescan import ops
from spikescan.neurons.base import Neuron
from spikescan.neurons.dynamics import told
from spikescan.neurons.operations import Operations
from spikescan.ops._core import validate
from spikescan.ops._core.history import with_history
from spikescan.ops.spike.api import fired
from spikescan.ops.surrogate import ATan, Surrogate


class SlidingPSNState(NamedTuple):
    """State of :class:`SlidingPSN`."""

    inputs: Tensor
    """(B, k - 1, D), the last inputs, the latest at the end; at least float32."""


class PSN(Neuron):
    r"""Baseline: parallel spiking neurons, whose membrane mixes all steps of a sequence.

    .. math:: h = W x, \qquad s_t = [h_t \ge b_t]

    All neurons share W (T, T) and the thresholds b (T,). A step sees the future, so there is no
    running step by step, and the cost grows with T². Weights start as those of a Linear layer,
    thresholds at 1; they train as weights do, so there are no :meth:`neuron_parameters`. A shorter
    sequence is one that is zero after its end: it uses the first rows and columns of W.

    Args:
        features: number of neurons D.
        steps: length T of the longest sequence.
        surrogate: derivative of the spike.

    Raises:
        ValueError: an input is longer or has another number of channels, or a state or a single
            step is asked for.

    Source: Fang et al. 2023 (arXiv 2304.12760), the parallel spiking neuron, there for sequences of
    T steps alone.

    >>> PSN(4, steps=100)(torch.rand(2, 100, 4))[0].shape
    torch.Size([2, 100, 4])
    """

    def __init__(self, features: int, *, steps: int, surrogate: Surrogate = ATan()) -> None:
        super().__init__(features)
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        self.steps = steps
        self.surrogate = surrogate
        bound = 1 / math.sqrt(steps)
        self.weight = nn.Parameter(torch.empty(steps, steps).uniform_(-bound, bound))
        self.threshold = nn.Parameter(torch.ones(steps))

    @property
    def causal(self) -> bool:
        return False

    @property
    def longest(self) -> int:
        return self.steps

    def forward(
        self, x: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, None]:
        self.check_width(x)
        steps = x.shape[1]
        if steps > self.steps:
            raise ValueError(f"PSN runs sequences of up to {self.steps} steps, got {steps}")
        if state is not None:
            self._refuse("state")
        valid = validate.valid_lengths(lengths, x)
        if valid is not None:
            # Steps before the end of a row must not see what lies beyond it.
            x = torch.where(
                torch.arange(steps, device=x.device)[:, None] < valid[:, None, None], x, 0
            )
        wide = torch.promote_types(x.dtype, self.weight.dtype)
        h = self.weight[:steps, :steps] @ x.to(wide) - self.threshold[:steps, None]
        return ops.spike(h, 0.0, surrogate=self.surrogate, lengths=valid).to(x.dtype), None

    def step(self, x_t: Tensor, state: Any = None) -> NoReturn:
        self._refuse("step")

    def _refuse(self, what: str) -> NoReturn:
        raise ValueError(
            f"PSN reads the future here and has no {what}; run whole sequences, or use SlidingPSN "
            "or DSN"
        )

    def neuron_parameters(self) -> Iterator[nn.Parameter]:
        return iter(())

    def operations(self) -> Operations:
        """A row of W."""
        return Operations(multiplications=self.steps, additions=self.steps, comparisons=1)

    def extra_repr(self) -> str:
        return told(
            self.features, steps=self.steps, threshold=self.threshold, surrogate=self.surrogate
        )


class SlidingPSN(Neuron):
    r"""Baseline: parallel spiking neurons that look back on the last k inputs.

    .. math:: h_t = \sum_{i=0}^{k-1} w_i x_{t-k+1+i}, \qquad s_t = [h_t \ge b]

    All neurons share w (k,) and the threshold b. Weights start as 1, 1/2, 1/4, .. backwards in
    time, the threshold at 1; they train as weights do, so there are no :meth:`neuron_parameters`.

    Args:
        features: number of neurons D.
        order: steps k that the neuron sees, the current one among them.
        surrogate: derivative of the spike.

    Raises:
        ValueError: an argument is out of range, or an input has another number of channels.

    Source: Fang et al. 2023 (arXiv 2304.12760), the sliding parallel spiking neuron.

    >>> spikes, state = SlidingPSN(4, order=8)(torch.rand(2, 100, 4))
    >>> spikes.shape, state.inputs.shape
    (torch.Size([2, 100, 4]), torch.Size([2, 7, 4]))
    """

    def __init__(self, features: int, *, order: int = 4, surrogate: Surrogate = ATan()) -> None:
        super().__init__(features)
        if order < 1:
            raise ValueError(f"order must be at least 1, got {order}")
        self.order = order
        self.surrogate = surrogate
        self.weight = nn.Parameter(0.5 ** torch.arange(order - 1, -1, -1))
        self.threshold = nn.Parameter(torch.ones(()))

    def forward(
        self, x: Tensor, state: SlidingPSNState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, SlidingPSNState]:
        if lengths is None and (done := self._step(x, state)):
            return done
        self.check_width(x)
        self.require_state(state, SlidingPSNState)
        dtype = validate.accumulator(x.dtype)
        carried = (x.shape[0], self.order - 1, self.features)
        before = x.new_zeros(carried, dtype=dtype) if state is None else state.inputs.to(dtype)
        if before.shape != carried:
            raise ValueError(f"state.inputs must have shape {carried}, got {tuple(before.shape)}")
        valid = validate.valid_lengths(lengths, x)
        padded, last = with_history(x.to(dtype), before, valid)
        h = -self.threshold.to(dtype)
        for i, tap in enumerate(self.weight.to(dtype)):
            h = h + tap * padded[:, i : i + x.shape[1]]
        spikes = ops.spike(h, 0.0, surrogate=self.surrogate, lengths=valid)
        return spikes.to(x.dtype), SlidingPSNState(last)

    def _step(
        self, x: Tensor, state: SlidingPSNState | None
    ) -> tuple[Tensor, SlidingPSNState] | None:
        """One step without gradient; None where that does not fit, as a step of LIF."""
        if not isinstance(state, SlidingPSNState):
            return None
        taps, threshold = self.weight, self.threshold
        window = (state.inputs, self.order - 1)
        if not validate.step(x, (), (), window, (taps, threshold)):
            return None
        if x.shape[2] != self.features or taps.dtype is not x.dtype:
            return None
        padded, last = with_history(x, state.inputs, None)
        # The sum of forward, term by term.
        h = -threshold
        for part in torch.split(taps[:, None] * padded, 1, 1):
            h = h + part
        return fired(h, 0.0), SlidingPSNState(last)

    def neuron_parameters(self) -> Iterator[nn.Parameter]:
        return iter(())

    def operations(self) -> Operations:
        """The taps."""
        return Operations(multiplications=self.order, additions=self.order, comparisons=1)

    def extra_repr(self) -> str:
        return told(
            self.features, order=self.order, threshold=self.threshold, surrogate=self.surrogate
        )
