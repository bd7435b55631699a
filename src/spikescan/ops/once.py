"""What ops say that have a first derivative and no second."""

from __future__ import annotations

from typing import Any


def no_double_backward(backward: Any, name: str) -> None:
    """Make differentiating an op's backward pass raise instead of returning nothing."""

    def refuse(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError(
            f"{name} has no second derivative in its kernel; use impl='reference' to "
            "differentiate twice"
        )

    backward.register_autograd(refuse)
