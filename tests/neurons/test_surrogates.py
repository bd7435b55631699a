"""A surrogate of one's own, in every neuron and every op that takes one."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import spikescan
from spikescan import neurons, ops
from spikescan.ops.surrogate import ATan, Gaussian, Surrogate
from support import draw
from tolerance import ELEMENT, SUMMED, assert_close

SIGMA = 0.4


def normal_density(v: Tensor) -> Tensor:
    return torch.exp(-0.5 * (v / SIGMA) ** 2) / (SIGMA * math.sqrt(2 * math.pi))


class Own(Surrogate):
    """New: no parameter, no code; by its formula Gaussian(SIGMA)."""

    def derivative(self, v: Tensor) -> Tensor:
        return normal_density(v)


class Changed(ATan):
    """A shipped one with another derivative, by its formula Gaussian(SIGMA)."""

    def derivative(self, v: Tensor) -> Tensor:
        return normal_density(v)


def constructors() -> Iterator[type[neurons.Neuron]]:
    """Every public neuron with a surrogate to choose."""
    for cls in (getattr(neurons, name) for name in neurons.__all__):
        if (
            inspect.isclass(cls)
            and issubclass(cls, neurons.Neuron)
            and "surrogate" in inspect.signature(cls.__init__).parameters
        ):
            yield cls


NEURONS = list(constructors())
# What a constructor needs beside its width.
NEEDS: dict[type, dict[str, Any]] = {spikescan.PSN: {"steps": 19}}


def gradients(cls: type[neurons.Neuron], surrogate: Surrogate) -> dict[str, Tensor]:
    torch.manual_seed(0)
    neuron: Any = cls(5, surrogate=surrogate, **NEEDS.get(cls, {})).double()  # type: ignore[call-arg]
    x = draw(2, 19, 5, seed=3, dtype=torch.float64, scale=1.5).requires_grad_()
    spikes, _ = neuron(x)
    (spikes * draw(2, 19, 5, seed=4, dtype=torch.float64)).sum().backward()
    leaves = {"x": x, **dict(neuron.named_parameters())}
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


@pytest.mark.parametrize("own", [Own(), Changed()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("cls", NEURONS)
def test_every_neuron_uses_the_derivative_it_is_given(
    cls: type[neurons.Neuron], own: Surrogate
) -> None:
    got, due = gradients(cls, own), gradients(cls, Gaussian(SIGMA))
    assert got.keys() == due.keys()
    for name, value in due.items():
        assert_close(got[name], value, ELEMENT if name == "x" else SUMMED, name)
    size = float(got["x"].abs().max())
    assert float((gradients(cls, ATan())["x"] - got["x"]).abs().max()) > 0.05 * size > 0


X = draw(2, 7, 3, dtype=torch.float32)
OPS: dict[str, Callable[..., Any]] = {
    "lif": lambda **options: ops.lif(X, 0.5, **options),
    "resonate": lambda **options: ops.resonate(X, torch.ones(3), torch.ones(3), **options),
    "dsn": lambda **options: ops.dsn(X, X.sigmoid(), **options),
    "dsn_conv": lambda **options: ops.dsn_conv(X, torch.ones(3, 2), **options),
    "spike": lambda **options: ops.spike(X, **options),
}
KERNELS = [
    (op, impl)
    for op in OPS
    for impl in ("cpu", "triton")
    if impl in str(inspect.signature(getattr(ops, op)).parameters["impl"].annotation)
]


def test_ops_are_complete() -> None:
    public = filter(inspect.isfunction, (getattr(ops, name) for name in ops.__all__))
    taking = {f.__name__ for f in public if "surrogate" in inspect.signature(f).parameters}
    assert taking == OPS.keys()


@pytest.mark.parametrize(("op", "impl"), KERNELS)
def test_a_kernel_refuses_by_name_what_it_cannot_express(op: str, impl: str) -> None:
    known = "ATan, Sigmoid, FastSigmoid, Triangular, Rectangular, Gaussian"
    with pytest.raises(ValueError, match="surrogate") as raised:
        OPS[op](surrogate=Changed(3.0), impl=impl)
    assert str(raised.value) == (
        f"impl={impl!r} cannot run surrogate=Changed(alpha=3.0), only {known} and not their "
        "subclasses; use impl='reference' or 'auto'"
    )


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("wrong", ["atan", ATan])
def test_what_is_no_surrogate(op: str, wrong: object) -> None:
    with pytest.raises(TypeError) as raised:
        OPS[op](surrogate=wrong)
    assert str(raised.value) == f"surrogate must be a Surrogate such as ATan(), got {wrong!r}"
