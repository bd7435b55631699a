"""Kernels as torch operators, and their gradients.

The pattern of an op's ``contract.py``: ``Forward`` and ``Backward``, NamedTuples, are the arguments
of its kernels. This one list is torch's schema, what kernels take and what call sites name; a
:class:`Gradient` is the one place of its gradient. :class:`Operator` registers a kernel with
torch's dispatcher, where modes, tracers, profilers and compilers see it, and refuses by name the
derivatives that no kernel computes.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

Arguments = tuple[Any, ...]
Kernel = Callable[..., Any]

_SCHEMA = {Tensor: "Tensor", Tensor | None: "Tensor?", float: "float", int: "SymInt", bool: "bool"}

# Operators live as long as the library that they were defined in.
_LIBRARY = torch.library.Library("spikescan", "FRAGMENT")


class Gradient(torch.autograd.Function):
    """Base of the gradients: a subclass writes ``setup_context`` and ``backward``.

    Both see all arguments in the order of the NamedTuple, ``save`` among them, which is then True.
    The operator adds ``forward``.
    """


def gradients(arguments: type[Arguments], **named: Tensor | None) -> tuple[Tensor | None, ...]:
    """What ``backward`` returns: one for each argument of the forward kernel, None if not named."""
    fields: tuple[str, ...] = arguments._fields  # type: ignore[attr-defined]
    due = tuple([named.pop(field, None) for field in fields])
    if named:
        raise TypeError(f"{arguments} has no arguments {sorted(named)}")
    return due


def recording() -> bool:
    """Whether a compiler or a tracer writes down what runs, to run it on other lengths as well."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def differentiated(tensors: Iterable[Tensor | None]) -> bool:
    """Whether autograd follows a call with these tensors."""
    if not torch.is_grad_enabled():
        return False
    compiling = torch.compiler.is_compiling()
    for tensor in tensors:
        if tensor is not None and (tensor.requires_grad or not (compiling or _plain(tensor))):
            return True
    return False


def _plain(tensor: Tensor) -> bool:
    """Whether nothing but its own ``requires_grad`` tells of autograd.

    Of a tensor of torch.vmap, which may hold one that requires it, memory is not to be had.
    """
    try:
        tensor.data_ptr()
    except RuntimeError:
        return False
    return True


class Operator:
    """The operator ``spikescan::name``: called with a NamedTuple, ``forward(Forward(x=x, ...))``.

    Args:
        name: its name for torch.
        arguments: the NamedTuple class of its arguments: tensors, numbers and flags. A last field
            ``save`` is set by the operator when the call is differentiated: the kernel then
            returns what the gradient needs as well.
        results: number of tensors returned.
        kernel: from the arguments to a tensor, or a tuple of tensors, that share no memory with
            any argument; in a tuple None stands for what is not asked for.
        fake: the same for tensors without numbers.
        devices: where the kernel runs.
        gradient: from a backward kernel, which takes a NamedTuple as an operator does, to a
            subclass of :class:`Gradient`.
        backward: the operator of that kernel, None for the one that is made here. An operator
            without a gradient is a backward kernel itself, and refuses a second derivative.
    """

    def __init__(
        self,
        name: str,
        arguments: type[Arguments],
        *,
        results: int,
        kernel: Kernel,
        fake: Kernel,
        devices: Sequence[str] = ("cpu",),
        gradient: Callable[[Kernel], type[Gradient]] | None = None,
        backward: Operator | None = None,
    ) -> None:
        self.name = name
        kinds = {field: _SCHEMA[kind] for field, kind in typing.get_type_hints(arguments).items()}
        self._arguments = arguments
        self._results = results
        self._tensors = [i for i, kind in enumerate(kinds.values()) if kind.startswith("Tensor")]
        self._saves = "save" in kinds
        given = partial(tuple.__new__, arguments)  # skips the binding of names
        listed = ", ".join(f"{kind} {field}" for field, kind in kinds.items())
        returned = "Tensor" if results == 1 else f"({', '.join(['Tensor'] * results)})"
        _LIBRARY.define(f"{name}({listed}) -> {returned}")
        for device in devices:
            _LIBRARY.impl(name, lambda *values: kernel(given(values)), device.upper())
        torch.library.register_fake(
            f"spikescan::{name}", lambda *values: fake(arguments(*values)), lib=_LIBRARY
        )
        torch.library.register_vmap(f"spikescan::{name}", self._one_by_one, lib=_LIBRARY)
        self._run = getattr(torch.ops.spikescan, name).default
        # Compilers look into a Function, and neither into operators nor at refusals.
        if gradient is None:
            self._compiled = None
            self._eager = self._function(self._no_gradient(), refuses=True)
        else:
            backward = backward or self
            direct = backward._run
            self._compiled = self._function(gradient(lambda given: direct(*given)))
            self._eager = self._function(gradient(backward), refuses=True)

    def __call__(self, arguments: Arguments) -> Any:
        """Run it, differentiably where gradients are on and an argument asks for one."""
        compiling = torch.compiler.is_compiling()
        function = self._compiled if compiling else self._eager
        tensors = [arguments[i] for i in self._tensors]
        if function is not None and differentiated(tensors):
            values = (*arguments[:-1], True) if self._saves else arguments
            return function.apply(*(_apart(values) if compiling else values))
        if has_tangent(tensors):
            self._refuse("forward-mode derivative")
        return self._run(*arguments)

    def plain(self, arguments: Arguments) -> Any:
        """Run it where neither mode is on, as :func:`differentiated` and :func:`has_tangent` say
        of all its tensors."""
        return self._run(*arguments)

    def _no_gradient(self) -> type[Gradient]:
        refuse = self._refuse

        class NoGradient(Gradient):
            @staticmethod
            def setup_context(ctx: Any, inputs: Arguments, output: Any) -> None:
                pass

            @staticmethod
            def backward(ctx: Any, *grads: Any) -> NoReturn:
                refuse("second derivative")

        return NoGradient

    def _function(
        self, gradient: type[Gradient], refuses: bool = False
    ) -> type[torch.autograd.Function]:
        """The gradient joined to the kernel."""
        run, refuse, one_by_one = self._run, self._refuse, self._one_by_one

        def forward(*values: Any) -> Any:
            return run(*values)

        def jvp(ctx: Any, *tangents: Any) -> NoReturn:
            refuse("forward-mode derivative")

        def vmap(info: Any, in_dims: tuple[int | None, ...], *values: Any) -> Any:
            return one_by_one(info, in_dims, *values)

        members: dict[str, Any] = {"forward": staticmethod(forward)}
        if refuses:
            bound_already(forward)
            members |= {"jvp": staticmethod(jvp), "vmap": staticmethod(vmap)}
        return type(self.name, (gradient,), members)

    def _one_by_one(self, info: Any, in_dims: tuple[int | None, ...], *values: Any) -> Any:
        """The rule for torch.vmap: a call for each, as the kernels' own batch is where speed is."""
        calls = [
            self(
                self._arguments(
                    *(
                        value if dim is None else value.select(dim, i)
                        for value, dim in zip(values, in_dims, strict=True)
                    )
                )
            )
            for i in range(info.batch_size)
        ]
        if self._results == 1:
            return torch.stack(calls), 0
        stacked = tuple(
            None if parts[0] is None else torch.stack(parts) for parts in zip(*calls, strict=True)
        )
        return stacked, tuple(None if part is None else 0 for part in stacked)

    def _refuse(self, what: str) -> NoReturn:
        raise NotImplementedError(
            f"spikescan::{self.name} has no {what} in its kernel; use impl='reference' for that"
        )


def _apart(values: Arguments) -> list[Any]:
    """The same values, no tensor of them twice: compilers trace no Function given one twice."""
    apart: list[Any] = []
    for value in values:
        twice = isinstance(value, Tensor) and any(value is other for other in apart)
        apart.append(value.view_as(value) if twice else value)
    return apart


def has_tangent(tensors: Iterable[Tensor | None]) -> bool:
    """Whether one is a dual number of forward mode."""
    try:
        for tensor in tensors:
            if tensor is None:
                continue
            primal, tangent = unpack_dual(tensor)
            if tangent is not None:
                return True
            if primal is tensor:  # not even a view of it: forward mode is off, for all of them
                return False
    except RuntimeError:
        # Inside torch.vmap nothing can tell; its rule calls the operator again, outside.
        pass
    return False


def bound_already(forward: Kernel) -> Kernel:
    """Spare a Function's ``forward``, which is given all its arguments by position, that torch
    binds them to its signature at each call: that takes as long as a small kernel."""
    signature = inspect.signature(forward)
    forward.__signature__ = _Positional(signature.parameters.values())  # type: ignore[attr-defined]
    return forward


class _Positional(inspect.Signature):
    """A signature in which there is nothing to bind."""

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        return _Bound(args)


class _Bound:
    kwargs: Mapping[str, Any] = {}

    def __init__(self, args: Arguments) -> None:
        self.args = args

    def apply_defaults(self) -> None:
        """There are none."""
