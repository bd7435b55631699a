"""The contract that neurons, blocks and whole networks keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from torch import Tensor, nn

from spikescan.neurons.dynamics import Dynamics
from spikescan.neurons.operations import Operations
from spikescan.ops._core import validate

M = TypeVar("M", bound=nn.Module)


class Recurrent(nn.Module, ABC):
    """What keeps the contract, from a neuron to a whole network.

    ``out, state = m(x, state, lengths)`` runs whole sequences, batch first, as ``torch.nn.GRU``
    does; ``out_t, state = m.step(x_t, state)`` runs one step. The state is a NamedTuple of tensors
    and of other states, passed in and out and never kept; ``None`` is rest. One call, calls on
    consecutive chunks and calls of ``step`` give the same outputs, the same final state and the
    same gradients. What is not causal gives the state None, and refuses states and steps.
    """

    @property
    def random_keys(self) -> int:
        """Keys of random numbers that a row at rest takes: those of all parts.

        Where there are any, ``forward`` has a ``generator``, which draws them or is the keys
        (B, random_keys) themselves, and each part gets its own.
        """
        return _keys_of_parts(self)

    @property
    def causal(self) -> bool:
        """Whether no output depends on a later input: true if it is for all parts.

        A class whose own computation reads the future says so by overriding this.
        """
        return _parts_are_causal(self)

    @abstractmethod
    def forward(
        self, x: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Run sequences x from ``state``; return the outputs and the new state."""

    def step(self, x_t: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Run one step x_t (B, D) from ``state``; return its output (B, D) and the new state."""
        self.require_causal("step")
        out, state = self(x_t.unsqueeze(1), state)
        return out.squeeze(1), state

    def require_causal(self, what: str) -> None:
        """Refuse ``what``, a state or a step, where the future is read.

        Raises:
            ValueError: it is.
        """
        if not self.causal:
            raise ValueError(
                f"{type(self).__name__} reads the future here and has no {what}; run whole "
                "sequences, or build it causal"
            )

    def require_state(self, state: object, kind: type) -> None:
        """Refuse a state of another type than ``kind``, and any where the future is read.

        Raises:
            TypeError: the type is another one.
            ValueError: the future is read.
        """
        if state is None:
            return
        self.require_causal("state")
        validate.kind("state", state, kind)


def _parts_are_causal(module: nn.Module) -> bool:
    for part in module.children():
        if not (part.causal if isinstance(part, Recurrent) else _parts_are_causal(part)):
            return False
    return True


def _keys_of_parts(module: nn.Module) -> int:
    count = 0
    for part in module.children():
        count += part.random_keys if isinstance(part, Recurrent) else _keys_of_parts(part)
    return count


class Neuron(Dynamics, Recurrent):
    """A layer of ``features`` neurons, under the contract of :class:`Recurrent`.

    It turns sequences x (B, T, D) into spikes (B, T, D), or a step x_t (B, D) into spikes (B, D).
    A NaN in the input shows: the state is NaN from there on, in its channel, which is silent, as
    no comparison with NaN holds; a neuron without such a state gives NaN in place of the spike.
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

    @property
    def longest(self) -> int | None:
        """Steps of the longest sequence that can be run; None, which is usual, for any."""
        return None

    def neuron_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the dynamics, which train at their own rate and without weight decay."""
        return self.parameters(recurse=False)

    def dynamics(self) -> dict[str, Tensor]:
        """What the parameters mean, (D,) each: "time constant" in steps, "frequency" in cycles
        per step, as far as the neuron has them."""
        return {}

    def operations(self) -> Operations:
        """What one neuron computes in one step of inference, with coefficients made beforehand.

        Raises:
            NotImplementedError: the neuron does not say so.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not say what a step of it computes: give it operations()"
        )

    def check_width(self, x: Tensor) -> None:
        validate.tensor("x", x)
        if x.ndim != 3 or x.shape[2] != self.features:
            raise ValueError(
                f"x must have shape (B, T, {self.features}) for {type(self).__name__}"
                f"({self.features}), got {tuple(x.shape)}"
            )


def make_part(name: str, make: Callable[[int], M], features: int, kind: type[M]) -> M:
    """What ``make`` makes from a width, where an argument asks for it.

    Raises:
        TypeError: it is a module already, cannot be called, or makes something else than ``kind``.
    """
    what = kind.__name__
    if isinstance(make, nn.Module):
        raise TypeError(
            f"{name} must make a {what} from its width, got a {type(make).__name__} that is made "
            f"already; give its class, or functools.partial of it with options"
        )
    if not callable(make):
        raise TypeError(f"{name} must make a {what} from its width, got a {type(make).__name__}")
    made: object = make(features)
    if not isinstance(made, kind):
        raise TypeError(f"{name} must make a {what}, got one that makes a {type(made).__name__}")
    return made
