"""A step and what stands in for its derivative, in plain torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from spikescan.ops._core.registration import bound_already

Step = Callable[..., Tensor]
Scale = Callable[[Tensor, Tensor], Tensor]


def stand_in(v: Tensor, step: Step, scale: Scale, *others: Tensor) -> Tensor:
    """``step(v, *others)``, elementwise in v, whose derivative by v stands in ``scale``.

    ``scale(g, v)`` is g times the derivative at v. It is used forwards, backwards and, being made
    of torch's own functions, a second time.
    """
    function = _Compiled if torch.compiler.is_compiling() else _StandIn
    return function.apply(v, step, scale, *others)  # type: ignore[no-any-return]


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(v: Tensor, step: Step, scale: Scale, *others: Tensor) -> Tensor:
        return step(v, *others)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        v, _, ctx.scale, *_ = inputs
        ctx.save_for_backward(v)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (v,) = ctx.saved_tensors
        return ctx.scale(grads[0], v), *[None] * (len(ctx.needs_input_grad) - 1)


class _StandIn(_Compiled):
    # Compilers do not take a Function with forward mode.
    generate_vmap_rule = True

    @staticmethod
    @bound_already
    def forward(v: Tensor, step: Step, scale: Scale, *others: Tensor) -> Tensor:
        return step(v, *others)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        v, _, ctx.scale, *_ = inputs
        ctx.save_for_backward(v)
        ctx.save_for_forward(v)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (v,) = ctx.saved_tensors
        return ctx.scale(tangents[0], v)
