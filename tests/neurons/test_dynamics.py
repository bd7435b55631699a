"""What sets a neuron's dynamics: held wide enough, refused when out of range, shown as given."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from spikescan import ALIF, DPLR, DSN, LIF, PRF, S4D, neurons
from spikescan.neurons.dynamics import Dynamics
from support import draw, leaves

# What a constructor needs beside its width.
NEEDS: dict[str, dict[str, Any]] = {"PSN": {"steps": 40}}
ALL: dict[str, Callable[[int], Dynamics]] = {}
for _name in neurons.__all__:
    _cls = getattr(neurons, _name)
    if inspect.isclass(_cls) and issubclass(_cls, Dynamics) and not inspect.isabstract(_cls):
        ALL[_name] = partial(_cls, **NEEDS.get(_name, {}))
HALVES = [torch.float16, torch.bfloat16]


def build(make: Callable[[int], Dynamics]) -> Any:
    torch.manual_seed(0)
    return make(6).eval()


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", ALL)
def test_a_narrowed_network_keeps_its_dynamics(name: str, dtype: torch.dtype) -> None:
    wide, narrow = build(ALL[name]), build(ALL[name]).to(dtype)
    held, kept = wide.state_dict(), narrow.state_dict()
    assert held.keys() == kept.keys()
    for key, value in held.items():
        assert kept[key].dtype == value.dtype, key
        assert torch.equal(kept[key], value), key
    x = draw(3, 40, 6, dtype=dtype).abs()
    runs: list[Any] = []
    for neuron in (wide, narrow):
        torch.manual_seed(1)
        runs.append(neuron(x))
    (out, state), (due, due_state) = runs
    assert out.dtype == dtype
    assert torch.equal(out, due)
    for got, expected in zip(leaves(state), leaves(due_state), strict=True):
        assert got.dtype == expected.dtype
        assert torch.equal(got, expected)


@pytest.mark.parametrize("name", ALL)
def test_conversions_that_are_no_narrowing_go_through(name: str) -> None:
    module = build(ALL[name])
    floats = [t for t in module.state_dict().values() if t.is_floating_point()]
    assert all(t.dtype in (torch.float32, torch.float64) for t in floats)
    assert all(t.dtype == torch.float64 for t in module.double().state_dict().values())
    # float64 asks for more than half precision gives, and keeps it.
    assert all(t.dtype == torch.float64 for t in module.half().state_dict().values())
    assert all(t.dtype == torch.float32 for t in module.float().state_dict().values())
    held = module.state_dict()
    assert all(t.is_meta for t in module.to("meta").state_dict().values())
    module.to_empty(device="cpu").load_state_dict(held)
    for key, value in module.state_dict().items():
        assert torch.equal(value, held[key])


def test_a_layer_beside_them_is_narrowed() -> None:
    network = nn.Sequential(nn.Linear(3, 3), LIF(3, learnable_tau=True)).bfloat16()
    dtypes = {name: p.dtype for name, p in network.named_parameters()}
    assert dtypes == {
        "0.weight": torch.bfloat16,
        "0.bias": torch.bfloat16,
        "1.logit": torch.float32,
    }


@pytest.mark.parametrize("name", ["LIF", "PRF", "Spatial", "ALIF"])
def test_built_on_meta_and_filled(name: str) -> None:
    with torch.device("meta"):
        empty: Any = ALL[name](6)
    assert all(t.is_meta for t in empty.state_dict().values())
    assert str(empty).startswith(f"{name}(6, ")
    full = build(ALL[name])
    filled = empty.to_empty(device="cpu")
    filled.load_state_dict(full.state_dict())
    x = draw(2, 30, 6)
    assert torch.equal(filled(x)[0], full(x)[0])


# Precision of time constants.
@pytest.mark.parametrize("tau", [1.0, 3.0, 1e6, 1e9, 1e12])
def test_tau_is_kept_to_the_digits_of_float64(tau: float) -> None:
    for neuron in (LIF(2, tau=tau), PRF(2, tau=tau), LIF(2, tau=tau).bfloat16()):
        assert neuron.tau.dtype == torch.float64
        assert neuron.tau.tolist() == pytest.approx([tau, tau], rel=1e-14)
        # A float32 network has it to float32's digits.
        narrow: Any = neuron.float()
        assert narrow.tau.tolist() == pytest.approx([tau, tau], rel=2e-6)


def test_a_slow_leak_leaks_at_its_rate_in_float64() -> None:
    neuron = LIF(1, tau=1e6, threshold=1e9).double()
    x = torch.zeros(1, 1001, 1, dtype=torch.float64)
    x[0, 0] = 1
    _, state = neuron(x)
    # 1 - beta as float32 held it: 1/986,895.
    assert float(state.v) == pytest.approx((1 - 1e-6) ** 1000, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("learnable", [False, True])
def test_slow_neurons_hear_their_scaled_input(dtype: torch.dtype, learnable: bool) -> None:
    neuron = LIF(1, tau=1e9, decay_input=True, learnable_tau=learnable).to(dtype)
    _, state = neuron(torch.ones(1, 100, 1, dtype=dtype))
    assert float(state.v.detach()) == pytest.approx(1e-7, rel=1e-5)


def test_time_constants_in_the_report_are_those_that_were_given() -> None:
    for cls in (LIF, ALIF):
        for tau in (1.0, 2.0, 20.0, math.inf):
            time = cls(3, tau=tau).dynamics()["time constant"]
            assert time.tolist() == [tau] * 3
    assert LIF(3, tau=7.0, learnable_tau=True).dynamics()["time constant"].tolist() == (
        pytest.approx([7.0] * 3)
    )
    assert (PRF(3, tau=math.inf).dynamics()["time constant"] == math.inf).all()


# Range.
BAD: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (LIF, {"tau": math.nan}, "tau must be at least 1, got nan"),
    (LIF, {"tau": 0.5}, "tau must be at least 1, got 0.5"),
    (LIF, {"tau": math.inf, "learnable_tau": True}, "tau must be above 1 and finite, got inf"),
    (LIF, {"tau": torch.ones(4)}, "tau must be a number or have shape (3,), got (4,)"),
    (PRF, {"tau": math.nan}, "tau must be positive, got nan"),
    (PRF, {"tau": math.inf, "learnable_tau": True}, "tau must be positive and finite, got inf"),
    (PRF, {"theta_max": math.inf}, "theta_max must be positive and finite, got inf"),
    (
        PRF,
        {"dt_max": math.inf},
        "dt_min and dt_max must satisfy 0 < dt_min <= dt_max < inf, got 0.1 and inf",
    ),
    (
        S4D,
        {"dt_max": math.inf},
        "dt_min and dt_max must satisfy 0 < dt_min <= dt_max < inf, got 0.001 and inf",
    ),
    (DPLR, {"dt_min": math.nan}, "dt_min and dt_max must satisfy 0 < dt_min <= dt_max < inf, got "
     "nan and 0.1"),
    (ALIF, {"tau": math.nan}, "tau must be at least 1, got nan"),
    (ALIF, {"tau_adaptation": math.nan}, "tau_adaptation must be positive, got nan"),
    (ALIF, {"strength": math.nan}, "strength must be finite, got nan"),
    (ALIF, {"strength": math.inf, "learnable_strength": True}, "strength must be finite, got inf"),
    (DSN, {"tau": math.inf}, "tau must be positive and finite, got inf"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "options", "words"), BAD)
def test_out_of_range(make: Callable[..., Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="must") as raised:
        make(3, **options)
    assert str(raised.value) == words


@pytest.mark.parametrize("cls", [LIF, PRF])
def test_a_trained_tau_has_its_own_word(cls: Callable[..., Any]) -> None:
    tau = nn.Parameter(torch.tensor([2.0, 3.0, 4.0]))
    with pytest.raises(ValueError, match="tau") as raised:
        cls(3, tau=tau)
    assert str(raised.value) == (
        "tau is not trained as it is given; pass its values and learnable_tau=True"
    )
    neuron = cls(3, tau=tau.detach(), learnable_tau=True)
    assert neuron.tau.tolist() == pytest.approx([2.0, 3.0, 4.0])
    for _ in range(2):  # a graph kept from the constructor would fail at the second
        neuron(draw(2, 9, 3))[0].sum().backward()
    name = "logit" if cls is LIF else "log_tau"
    assert getattr(neuron, name).grad.abs().sum() > 0


def test_shown() -> None:
    assert repr(LIF(3, tau=torch.tensor([2.0, 5.0, 20.0]))) == (
        "LIF(3, tau=2..20, threshold=1, reset='soft', detach_reset=True, surrogate=ATan(alpha=2.0))"
    )
    assert repr(PRF(3, dt_min=0.5, dt_max=0.5, theta_max=2.0)).startswith(
        "PRF(3, tau=30, dt=0.5, theta="
    )
