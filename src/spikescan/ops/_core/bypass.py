"""Kernels as torch operators, with a short way past torch, for ops not yet on registration.py.

The operator is what ``torch.compile``, ``torch.export`` and fake tensors see. Its way through
torch's dispatcher costs a tenth of a millisecond, which is more than a small kernel runs: ordinary
tensors go past it, forward and back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Kernel = Callable[..., Any]


class Operator:
    """The kernel ``spikescan::name`` for tensors of some devices; called as the kernel itself."""

    def __init__(self, name: str, kernel: Kernel, devices: tuple[str, ...]) -> None:
        self._kernel = kernel
        self._registered = torch.library.custom_op(
            f"spikescan::{name}", kernel, mutates_args=(), device_types=devices
        )
        self._differentiable: type[torch.autograd.Function] | None = None

    def __call__(self, *arguments: Any) -> Any:
        if torch.compiler.is_compiling() or _in_transform() or not _ordinary(arguments):
            return self._registered(*arguments)
        if not (torch.is_grad_enabled() and _tracked(arguments)):
            return self._kernel(*arguments)
        if self._differentiable is None:
            return self._registered(*arguments)
        return self._differentiable.apply(*arguments)

    def register_fake(self, fake: Kernel) -> Kernel:
        """Tell shapes and dtypes of the results without computing them."""
        self._registered.register_fake(fake)
        return fake

    def register_autograd(self, backward: Kernel, *, setup_context: Kernel) -> None:
        """As :meth:`torch.library.CustomOpDef.register_autograd`."""
        self._registered.register_autograd(backward, setup_context=setup_context)
        kernel = self._kernel

        class Differentiable(torch.autograd.Function):
            # Not torch's own setup_context, which binds all arguments to a signature each time.
            @staticmethod
            def forward(ctx: Any, *arguments: Any) -> Any:
                output = kernel(*arguments)
                setup_context(ctx, arguments, output)
                return output

            @staticmethod
            def backward(ctx: Any, *grads: Any) -> Any:
                return backward(ctx, *grads)

        self._differentiable = Differentiable

    def refuse_derivative(self, of: str) -> None:
        """Make differentiating a backward pass raise instead of returning nothing."""

        def refuse(ctx: Any, *grads: Any) -> Any:
            raise NotImplementedError(
                f"{of} has no second derivative in its kernel; use impl='reference' to "
                "differentiate twice"
            )

        self._registered.register_autograd(refuse)


def operator(name: str, devices: tuple[str, ...] = ("cpu",)) -> Callable[[Kernel], Operator]:
    """Decorate a kernel to be the operator ``spikescan::name``."""
    return lambda kernel: Operator(name, kernel, devices)


def _ordinary(arguments: tuple[Any, ...]) -> bool:
    """Whether memory holds the numbers of all tensors: none is fake, subclassed or negated."""
    tensors = (a for a in arguments if isinstance(a, Tensor))
    return all(
        (type(t) is Tensor or type(t) is nn.Parameter) and not t.is_neg() and not t.is_conj()
        for t in tensors
    )


def _in_transform() -> bool:
    """Whether inside torch.func.grad and its kin, which the operator knows how to go through."""
    return torch._C._are_functorch_transforms_active()


def _tracked(arguments: tuple[Any, ...]) -> bool:
    return any(isinstance(a, Tensor) and a.requires_grad for a in arguments)
