r"""Surrogate gradients: what stands in for the derivative of the Heaviside step.

Every surrogate is a small immutable object that knows its derivative, so that plain torch, the
compiled kernels (through :attr:`~Surrogate.code` and :attr:`~Surrogate.parameter`) and pictures
all use the same function. The forward pass is always the exact step :math:`H(v) = [v \ge 0]`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Surrogate(ABC):
    """Base of the surrogates: one positive parameter, one derivative.

    Calling the object gives spikes: ``surrogate(u - threshold)`` is 1 where its argument is at
    least zero, with :meth:`derivative` as the gradient.
    """

    code: ClassVar[int]

    def __post_init__(self) -> None:
        if not (self.parameter > 0 and math.isfinite(self.parameter)):
            name = fields(self)[0].name
            raise ValueError(f"{name} must be positive and finite, got {self.parameter}")

    @property
    def parameter(self) -> float:
        """The one number that shapes the surrogate, as the kernels receive it."""
        return float(getattr(self, fields(self)[0].name))

    @abstractmethod
    def derivative(self, v: Tensor) -> Tensor:
        """The surrogate derivative at ``v`` = membrane minus threshold, elementwise."""

    def __call__(self, v: Tensor) -> Tensor:
        return _Spike.apply(v, self)  # type: ignore[no-any-return]


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(v)
        ctx.surrogate = surrogate
        return (v >= 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (v,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate.derivative(v), None


@dataclass(frozen=True)
class ATan(Surrogate):
    r"""Arctangent: :math:`\frac{\alpha/2}{1 + (\frac{\pi}{2} \alpha v)^2}` (Fang et al. 2021).

    The default of LIF and PRF.

    >>> ATan()(torch.tensor([-0.1, 0.0, 0.1]))
    tensor([0., 1., 1.])
    >>> ATan().derivative(torch.tensor([0.0]))
    tensor([1.])
    """

    alpha: float = 2.0
    code = 0

    def derivative(self, v: Tensor) -> Tensor:
        return (self.alpha / 2) / (1 + (math.pi / 2 * self.alpha * v) ** 2)


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    r"""Derivative of the logistic function: :math:`\alpha \sigma(\alpha v)\sigma(-\alpha v)`."""

    alpha: float = 4.0
    code = 1

    def derivative(self, v: Tensor) -> Tensor:
        # Through |v| the exponential cannot overflow.
        e = torch.exp(-(self.alpha * v).abs())
        return self.alpha * e / (1 + e) ** 2


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    r"""SuperSpike: :math:`(1 + \alpha |v|)^{-2}` (Zenke and Ganguli 2018)."""

    alpha: float = 10.0
    code = 2

    def derivative(self, v: Tensor) -> Tensor:
        return 1 / (1 + self.alpha * v.abs()) ** 2


@dataclass(frozen=True)
class Triangular(Surrogate):
    r"""Triangle of area one and half-width 1/α: :math:`\alpha \max(0, 1 - \alpha |v|)`."""

    alpha: float = 1.0
    code = 3

    def derivative(self, v: Tensor) -> Tensor:
        return self.alpha * (1 - self.alpha * v.abs()).clamp(min=0)


@dataclass(frozen=True)
class Rectangular(Surrogate):
    r"""Rectangle of area one: :math:`1/w` where :math:`|v| \le w/2`, else 0 (Wu et al. 2018)."""

    width: float = 1.0
    code = 4

    def derivative(self, v: Tensor) -> Tensor:
        return (v.abs() <= self.width / 2).to(v.dtype) / self.width


@dataclass(frozen=True)
class Gaussian(Surrogate):
    r"""Normal density: :math:`\exp(-v^2 / 2\sigma^2) / \sigma\sqrt{2\pi}`."""

    sigma: float = 0.5
    code = 5

    def derivative(self, v: Tensor) -> Tensor:
        y = v / self.sigma
        return torch.exp(-0.5 * y * y) / (self.sigma * math.sqrt(2 * math.pi))


SURROGATES = (ATan, Sigmoid, FastSigmoid, Triangular, Rectangular, Gaussian)
"""All surrogates; the position of each is its code in the compiled kernels."""
