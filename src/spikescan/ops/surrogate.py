r"""Surrogate gradients: what stands in for the derivative of the Heaviside step.

The forward pass is always the exact step :math:`H(v) = [v \ge 0]`. A new surrogate takes one class
with a ``derivative`` and runs in every neuron and op, in plain torch. To run it in the fused
kernels as well, it needs one positive parameter, its place in :data:`SURROGATES`, and its formula
under that number in ``_core/cpu/surrogate.inc.h`` and in ``derivative`` of
``_core/triton/tile.py``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from spikescan.ops._core.standin import stand_in


class Surrogate(ABC):
    """Base of the surrogates: whatever gives a derivative.

    Calling the object gives spikes: ``surrogate(u - threshold)`` is 1 where its argument is at
    least zero, with :meth:`derivative` as the gradient. A class of your own, or a subclass of a
    shipped one, is used as it is: ops then run their reference, as the fused kernels know the
    shipped classes alone.

    >>> class Leaky(Surrogate):
    ...     def derivative(self, v):
    ...         return torch.where(v < 0, 0.1, 1.0)
    >>> v = torch.tensor([-1.0, 2.0], requires_grad=True)
    >>> Leaky()(v).sum().backward()
    >>> v.grad
    tensor([0.1000, 1.0000])
    """

    @abstractmethod
    def derivative(self, v: Tensor) -> Tensor:
        """The surrogate derivative at ``v`` = membrane minus threshold, elementwise."""

    def __call__(self, v: Tensor) -> Tensor:
        return stand_in(v, _heaviside, self._scale)

    def _scale(self, g: Tensor, v: Tensor) -> Tensor:
        return g * self.derivative(v)


def _heaviside(v: Tensor) -> Tensor:
    return (v >= 0).to(v.dtype)


@dataclass(frozen=True)
class _Shaped(Surrogate):
    """A surrogate of one positive parameter."""

    def __post_init__(self) -> None:
        if not (self.parameter > 0 and math.isfinite(self.parameter)):
            name = fields(self)[0].name
            raise ValueError(f"{name} must be positive and finite, got {self.parameter}")

    @property
    def parameter(self) -> float:
        """The one number that shapes the surrogate, as the kernels receive it."""
        return float(getattr(self, fields(self)[0].name))


@dataclass(frozen=True)
class ATan(_Shaped):
    r"""Arctangent: :math:`\frac{\alpha/2}{1 + (\frac{\pi}{2} \alpha v)^2}` (Fang et al. 2021).

    The default of LIF and PRF.

    >>> ATan()(torch.tensor([-0.1, 0.0, 0.1]))
    tensor([0., 1., 1.])
    >>> ATan().derivative(torch.tensor([0.0]))
    tensor([1.])
    """

    alpha: float = 2.0

    def derivative(self, v: Tensor) -> Tensor:
        return (self.alpha / 2) / (1 + (math.pi / 2 * self.alpha * v) ** 2)


DEFAULT = ATan()
"""Where none is given."""


@dataclass(frozen=True)
class Sigmoid(_Shaped):
    r"""Derivative of the logistic function: :math:`\alpha \sigma(\alpha v)\sigma(-\alpha v)`."""

    alpha: float = 4.0

    def derivative(self, v: Tensor) -> Tensor:
        # Through |v| the exponential cannot overflow.
        e = torch.exp(-(self.alpha * v).abs())
        return self.alpha * e / (1 + e) ** 2


@dataclass(frozen=True)
class FastSigmoid(_Shaped):
    r"""SuperSpike: :math:`(1 + \alpha |v|)^{-2}` (Zenke and Ganguli 2018)."""

    alpha: float = 10.0

    def derivative(self, v: Tensor) -> Tensor:
        return 1 / (1 + self.alpha * v.abs()) ** 2


@dataclass(frozen=True)
class Triangular(_Shaped):
    r"""Triangle of area one and half-width 1/α: :math:`\alpha \max(0, 1 - \alpha |v|)`."""

    alpha: float = 1.0

    def derivative(self, v: Tensor) -> Tensor:
        return self.alpha * (1 - self.alpha * v.abs()).clamp(min=0)


@dataclass(frozen=True)
class Rectangular(_Shaped):
    r"""Rectangle of area one: :math:`1/w` where :math:`|v| \le w/2`, else 0 (Wu et al. 2018)."""

    width: float = 1.0

    def derivative(self, v: Tensor) -> Tensor:
        return (v.abs() <= self.width / 2).to(v.dtype) / self.width


@dataclass(frozen=True)
class Gaussian(_Shaped):
    r"""Normal density: :math:`\exp(-v^2 / 2\sigma^2) / \sigma\sqrt{2\pi}`."""

    sigma: float = 0.5

    def derivative(self, v: Tensor) -> Tensor:
        y = v / self.sigma
        return torch.exp(-0.5 * y * y) / (self.sigma * math.sqrt(2 * math.pi))


SURROGATES: tuple[type[_Shaped], ...] = (
    ATan, Sigmoid, FastSigmoid, Triangular, Rectangular, Gaussian,
)  # fmt: skip
"""The surrogates of the fused kernels; the position of each is its code there."""

_KNOWN = {cls: (code, fields(cls)[0].name) for code, cls in enumerate(SURROGATES)}


def kernel_code(surrogate: object) -> tuple[int, float] | None:
    """Code and parameter of a surrogate in the fused kernels, None for one they cannot express.

    It is known by its very class: a subclass may have another derivative.

    Raises:
        TypeError: it is no surrogate.
    """
    if not isinstance(surrogate, Surrogate):
        raise TypeError(f"surrogate must be a Surrogate such as ATan(), got {surrogate!r}")
    known = _KNOWN.get(type(surrogate))  # type: ignore[arg-type]
    return None if known is None else (known[0], float(getattr(surrogate, known[1])))


def of_kernel_code(code: int, parameter: float) -> Surrogate:
    """The surrogate that :func:`kernel_code` gives as these numbers."""
    kind = SURROGATES[code]
    return kind(**{fields(kind)[0].name: parameter})


def beyond_kernels(surrogate: object) -> str:
    """How to say that :func:`kernel_code` gives None."""
    known = ", ".join(cls.__name__ for cls in SURROGATES)
    return f"surrogate={surrogate!r}, only {known} and not their subclasses"
