"""The operators of a forward and a backward kernel, as most ops have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from spikescan.ops._core.registration import Arguments, Gradient, Kernel, Operator


class Contract(Protocol):
    """An op's module ``contract``."""

    @property
    def Forward(self) -> type[Arguments]: ...

    @property
    def Backward(self) -> type[Arguments]: ...

    @property
    def gradient_outputs(self) -> Callable[[Any, Any], Any]: ...

    @property
    def gradient(self) -> Callable[[Kernel], type[Gradient]]: ...


def pair(
    name: str,
    contract: Contract,
    *,
    forward: Kernel,
    backward: Kernel,
    results: tuple[int, int],
    fake: Kernel,
    empty: Any,
    devices: Sequence[str] = ("cpu",),
) -> tuple[Operator, Operator]:
    """The operators ``name`` of two kernels, with ``forward`` and ``backward`` in its braces.

    Args:
        name: ``"lif_{}_triton"`` makes lif_forward_triton and lif_backward_triton.
        contract: arguments of the kernels, memory for the gradients, and the gradient.
        forward: from ``contract.Forward`` to its results.
        backward: from ``contract.Backward`` to the gradients.
        results: how many tensors each of them returns.
        fake: as ``forward``, for tensors without numbers.
        empty: makes a tensor without numbers, for ``contract.gradient_outputs``.
        devices: where the kernels run.
    """
    back = Operator(
        name.format("backward"),
        contract.Backward,
        results=results[1],
        kernel=backward,
        fake=lambda given: contract.gradient_outputs(given, empty),
        devices=devices,
    )
    front = Operator(
        name.format("forward"),
        contract.Forward,
        results=results[0],
        kernel=forward,
        fake=fake,
        devices=devices,
        gradient=contract.gradient,
        backward=back,
    )
    return front, back
