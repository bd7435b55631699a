"""How neurons hold what sets their dynamics: time constants, thresholds, frequencies."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Dynamics(nn.Module):
    """A module whose parameters and buffers stay at least float32 when the network is narrowed.

    ``model.half()`` and ``model.bfloat16()`` move them where they move the rest, and keep their
    precision: bfloat16 has no decay between 0.996 and 1.
    """

    features: int

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # Every conversion of a module (to, half, cuda, ...) goes through here, as torch's RNNs have
        # it; float64 stays float64.
        def keep_wide(tensor: Tensor) -> Tensor:
            out = fn(tensor)
            if out.is_floating_point() and out.element_size() < 4:
                return tensor.to(out.device, torch.promote_types(tensor.dtype, torch.float32))
            return out

        return super()._apply(keep_wide, recurse)  # pyright: ignore[reportUnknownMemberType]

    def hold(self, name: str, value: float | Tensor, *, learnable: bool = False) -> None:
        """Set the attribute ``name``: a number, a buffer of a tensor's values, or a parameter.

        A parameter is one that is given, or with ``learnable`` a new one for each neuron.

        Raises:
            ValueError: a value is not finite, or a tensor has another shape than () or (D,).
        """
        given = value.detach() if isinstance(value, nn.Parameter) else value
        start = each(name, given, self.features, "finite", math.isfinite)
        if learnable:
            wide = torch.promote_types(torch.get_default_dtype(), torch.float32)
            setattr(self, name, nn.Parameter(start.to(wide)))
        elif isinstance(value, nn.Parameter):
            setattr(self, name, value)
        elif isinstance(value, Tensor):
            self.register_buffer(name, start)
        else:
            setattr(self, name, float(value))


def each(
    name: str, value: float | Tensor, features: int, words: str, allowed: Callable[[float], bool]
) -> Tensor:
    """A number or (D,) values that are not trained as float64 (D,), if all are ``allowed``.

    Raises:
        ValueError: a value is out of range, has another shape, or asks for a gradient.
    """
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise ValueError(
                f"{name} is not trained as it is given; pass its values and learnable_{name}=True"
            )
        if value.shape not in ((), (features,)):
            raise ValueError(
                f"{name} must be a number or have shape ({features},), got {tuple(value.shape)}"
            )
        wide = value.to(torch.float64)
        fits = value.is_meta or all(allowed(float(v)) for v in wide.flatten())
    else:
        wide = torch.tensor(value, dtype=torch.float64)
        fits = allowed(value)
    if not fits:
        raise ValueError(f"{name} must be {words}, got {value}")
    return wide.expand(features).clone()


def spread(values: float | Tensor) -> str:
    """A number, or the range of many, in few words."""
    if not isinstance(values, Tensor):
        return f"{values:g}"
    if values.is_meta:
        return "?"
    low, high = float(values.detach().min()), float(values.detach().max())
    return f"{low:g}" if f"{low:g}" == f"{high:g}" else f"{low:g}..{high:g}"


def told(*first: int, **settings: object) -> str:
    """Settings in the words of a repr; what is off, or not given, is left out.

    >>> told(4, tau=2.0, reset="soft", learnable_tau=False, dt=torch.tensor([0.1, 1.0]))
    "4, tau=2, reset='soft', dt=0.1..1"
    """
    words = [str(value) for value in first]
    for name, value in settings.items():
        if value is not None and value is not False:
            number = isinstance(value, float | Tensor)
            words.append(f"{name}={spread(value) if number else repr(value)}")
    return ", ".join(words)
