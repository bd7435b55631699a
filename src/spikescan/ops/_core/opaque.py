"""Differentiable torch functions as one operator each, for compiled and traced graphs.

A compiler or tracer unrolls a loop over time or over chunks of time, so that its graph is one of a
fixed length. As an operator the function is a single node, of any length. Its gradient runs the
function again and differentiates that.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from spikescan.ops._core.registration import Gradient, Operator, recording


class Opaque:
    """A function that is run as it is, and recorded as one operator; :func:`opaque` makes it."""

    def __init__(self, function: Callable[[Any], Any], operator: Operator) -> None:
        self.function = function
        self.operator = operator

    def __call__(self, arguments: tuple[Any, ...]) -> Any:
        return self.operator(arguments) if recording() else self.function(arguments)


def opaque(
    name: str,
    arguments: type[tuple[Any, ...]],
    *,
    results: int,
    function: Callable[[Any], Any],
    fake: Callable[[Any], Any],
) -> Opaque:
    """A function in ordinary torch, which in graphs is the operator ``spikescan::graph_name``.

    Args:
        name: its name for torch.
        arguments: the NamedTuple class of its arguments; all of floating point are differentiable.
        results: number of tensors returned.
        function: from the arguments to a new tensor, or a tuple of them.
        fake: the same for tensors without numbers.
    """
    fields = typing.get_type_hints(arguments)
    given = {f"g{i}": Tensor | None for i in range(results)}
    backward_arguments = typing.NamedTuple(  # type: ignore[misc]
        f"{name}_backward", list((given | fields).items())
    )
    tensors = [i for i, kind in enumerate(fields.values()) if kind in (Tensor, Tensor | None)]

    def learns(value: object) -> bool:
        return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())

    def gradients(values: tuple[Any, ...]) -> tuple[Tensor, ...]:
        """One for each tensor among the arguments, without elements where there is none."""
        grads, inputs = values[:results], list(values[results:])
        with torch.enable_grad():
            for i in tensors:
                if learns(inputs[i]):
                    inputs[i] = inputs[i].detach().requires_grad_()
            outputs = function(arguments(*inputs))
            outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
            pairs = [
                (o, g)
                for o, g in zip(outputs, grads, strict=True)
                if g is not None and o.requires_grad
            ]
            wanted = [inputs[i] for i in tensors if learns(inputs[i])]
            found = iter(
                torch.autograd.grad(
                    [o for o, _ in pairs], wanted, [g for _, g in pairs], allow_unused=True,
                    materialize_grads=True,
                )
            )  # fmt: skip
        return tuple(
            next(found).contiguous() if learns(inputs[i]) else grads_like(values) for i in tensors
        )

    def grads_like(values: tuple[Any, ...]) -> Tensor:
        return next(v for v in values if isinstance(v, Tensor)).new_empty(0)

    def gradients_fake(values: tuple[Any, ...]) -> tuple[Tensor, ...]:
        inputs = values[results:]
        return tuple(
            torch.empty_like(inputs[i], memory_format=torch.contiguous_format)
            if learns(inputs[i])
            else grads_like(values)
            for i in tensors
        )

    devices = ("cpu", "cuda")
    backward = Operator(
        f"graph_{name}_backward",
        backward_arguments,
        results=len(tensors),
        kernel=gradients,
        fake=gradients_fake,
        devices=devices,
    )

    def gradient(run: Callable[[Any], Any]) -> type[Gradient]:
        class Again(Gradient):
            @staticmethod
            def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
                ctx.set_materialize_grads(False)
                ctx.save_for_backward(*(inputs[i] for i in tensors))
                ctx.inputs = tuple(None if i in tensors else v for i, v in enumerate(inputs))

            @staticmethod
            def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
                inputs = list(ctx.inputs)
                for i, saved in zip(tensors, ctx.saved_tensors, strict=True):
                    inputs[i] = saved
                found = run(backward_arguments(*grads, *inputs))
                due: list[Tensor | None] = [None] * len(inputs)
                for i, g in zip(tensors, found, strict=True):
                    due[i] = g if learns(inputs[i]) else None
                return tuple(due)

        return Again

    operator = Operator(
        f"graph_{name}",
        arguments,
        results=results,
        kernel=function,
        fake=fake,
        devices=devices,
        gradient=gradient,
        backward=backward,
    )
    return Opaque(function, operator)
