"""Surrogates: their formulas, their areas, their use outside the kernels."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields

import pytest
import torch
from ops_support import ALL_SURROGATES, normal

from spikescan.ops import spike
from spikescan.ops.surrogate import (
    SURROGATES,
    ATan,
    FastSigmoid,
    Gaussian,
    Rectangular,
    Sigmoid,
    Surrogate,
    Triangular,
    kernel_code,
)
from tolerance import ELEMENT, assert_close

EACH = pytest.mark.parametrize("function", ALL_SURROGATES, ids=lambda s: type(s).__name__)


def sigmoid(v: float) -> float:
    return 1 / (1 + math.exp(-v))


# The formulas once more, for one number each, with the parameter that the test passes.
FORMULAS: list[tuple[Surrogate, Callable[[float], float]]] = [
    (ATan(3.0), lambda v: 1.5 / (1 + (math.pi / 2 * 3 * v) ** 2)),
    (Sigmoid(3.0), lambda v: 3 * sigmoid(3 * v) * (1 - sigmoid(3 * v))),
    (FastSigmoid(3.0), lambda v: 1 / (1 + 3 * abs(v)) ** 2),
    (Triangular(3.0), lambda v: 3 * max(0.0, 1 - 3 * abs(v))),
    (Rectangular(3.0), lambda v: 1 / 3 if abs(v) <= 1.5 else 0.0),
    (Gaussian(3.0), lambda v: math.exp(-v * v / 18) / (3 * math.sqrt(2 * math.pi))),
]


@pytest.mark.parametrize(("function", "formula"), FORMULAS, ids=lambda f: type(f).__name__)
def test_formulas(function: Surrogate, formula: Callable[[float], float]) -> None:
    v = torch.linspace(-5, 5, 401, dtype=torch.float64)
    due = torch.tensor([formula(float(x)) for x in v], dtype=torch.float64)
    assert_close(function.derivative(v), due, ELEMENT)
    # The kernel's own version, by way of the spikes without memory.
    x = v.reshape(1, -1, 1).requires_grad_()
    spike(x, 0.0, surrogate=function, impl="cpu").sum().backward()
    assert x.grad is not None
    assert_close(x.grad.flatten(), due, ELEMENT)


@EACH
def test_derivatives_are_even_and_largest_at_the_threshold(function: Surrogate) -> None:
    v = torch.linspace(0, 20, 2001, dtype=torch.float64)
    right, left = function.derivative(v), function.derivative(-v)
    assert torch.equal(right, left)
    assert bool((right >= 0).all())
    assert bool((right.diff() <= 0).all())


@EACH
def test_areas(function: Surrogate) -> None:
    # A surrogate stands for a step of height one; SuperSpike alone is scaled otherwise.
    v = torch.linspace(-2000, 2000, 4_000_001, dtype=torch.float64)
    area = float(torch.trapezoid(function.derivative(v), v))
    expected = 2 / function.parameter if isinstance(function, FastSigmoid) else 1
    assert area == pytest.approx(expected, rel=2e-3)


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_arguments_neither_overflow_nor_wrap(function: Surrogate, dtype: torch.dtype) -> None:
    sizes = [0.0, 10.0, 21.7, 43.4, 86.9, 87.1, 176.0, 177.5, 700.0, 750.0, 1e4, 1e30, torch.inf]
    v = torch.tensor([*sizes, *(-size for size in sizes)], dtype=dtype)
    expected = function.derivative(v)
    assert expected.isfinite().all()
    x = v.reshape(1, -1, 1).requires_grad_()
    spike(x, 0.0, surrogate=function, impl="cpu").sum().backward()
    assert x.grad is not None
    assert_close(x.grad.flatten(), expected, ELEMENT)
    far = v.abs() >= 1e30
    assert (x.grad.flatten()[far] < 1e-10).all()


@EACH
def test_called_it_is_the_step_with_the_surrogate_as_gradient(function: Surrogate) -> None:
    v = torch.tensor([-1.0, -1e-30, -0.0, 0.0, 1e-30, 1.0, torch.nan], requires_grad=True)
    out = function(v)
    assert out.tolist() == [0, 0, 1, 1, 1, 1, 0]
    out.backward(torch.arange(7.0))
    assert v.grad is not None
    assert torch.equal(v.grad[:6], torch.arange(6.0) * function.derivative(v.detach())[:6])


def test_called_it_can_be_differentiated_twice() -> None:
    v = normal(5, seed=0, dtype=torch.float64).requires_grad_()
    (first,) = torch.autograd.grad(ATan()(v).sum(), v, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), v)
    c = (math.pi * v.detach()) ** 2
    assert_close(second, -2 * c / v.detach() / (1 + c) ** 2, ELEMENT)


@pytest.mark.parametrize("cls", SURROGATES)
@pytest.mark.parametrize("value", [0, 0.0, -1.0, math.inf, math.nan])
def test_parameters_must_be_positive_and_finite(cls: type[Surrogate], value: float) -> None:
    name = fields(cls)[0].name
    with pytest.raises(ValueError, match=f"^{name} must be positive and finite, got {value}"):
        cls(value)


def test_codes_are_positions() -> None:
    codes = [kernel_code(cls(0.5)) for cls in SURROGATES]
    assert codes == [(position, 0.5) for position in range(len(SURROGATES))]


@EACH
def test_they_are_values(function: Surrogate) -> None:
    again = pickle.loads(pickle.dumps(function))
    assert again == function
    assert hash(again) == hash(function)
    assert function != type(function)(function.parameter * 2)
    with pytest.raises(FrozenInstanceError):
        setattr(function, fields(function)[0].name, 3.0)
