"""The contract that every neuron keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn


class Neuron(nn.Module, ABC):
    """A layer of ``features`` neurons.

    ``out, state = neuron(x, state)`` runs whole sequences x (B, T, D), as ``torch.nn.GRU`` with
    ``batch_first=True`` does; ``out_t, state = neuron.step(x_t, state)`` runs one step x_t (B, D).
    The state is a NamedTuple of tensors, passed in and out and never kept; ``None`` is rest. One
    call, calls on consecutive chunks and calls of ``step`` give the same spikes, the same final
    state and the same gradients.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        if features < 1:
            raise ValueError(f"features must be at least 1, got {features}")
        self.features = features

    @abstractmethod
    def forward(
        self, x: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Run sequences x (B, T, D) from ``state``; return spikes (B, T, D) and the new state.

        With ``lengths`` (B,), row i is run for its first ``lengths[i]`` steps; its spikes beyond
        them are zero and its state is the one it had there.
        """

    def step(self, x_t: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Run one step x_t (B, D) from ``state``; return spikes (B, D) and the new state."""
        out, state = self(x_t.unsqueeze(1), state)
        return out.squeeze(1), state

    def neuron_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the dynamics, which train at their own rate and without weight decay."""
        return self.parameters(recurse=False)

    def dynamics(self) -> dict[str, Tensor]:
        """What the parameters mean, (D,) each: "time constant" in steps, "frequency" in cycles
        per step, as far as the neuron has them."""
        return {}

    def check_width(self, x: Tensor) -> None:
        if x.ndim != 3 or x.shape[2] != self.features:
            raise ValueError(
                f"x must have shape (B, T, {self.features}) for {type(self).__name__}"
                f"({self.features}), got {tuple(x.shape)}"
            )
