"""A NaN in the input shows in what a neuron gives, in its row alone; all outputs are written."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from spikescan import neurons, ops
from spikescan.neurons.base import Neuron
from spikescan.ops._core.cpu import call
from spikescan.ops.lif import LIFState
from spikescan.ops.resonate import PRFState
from support import draw, leaves

B, T, D = 2, 30, 5
NEEDS: dict[str, dict[str, Any]] = {"PSN": {"steps": T}}
ALL: dict[str, Callable[[int], Neuron]] = {}
for _name in neurons.__all__:
    _cls = getattr(neurons, _name)
    if inspect.isclass(_cls) and issubclass(_cls, Neuron) and not inspect.isabstract(_cls):
        ALL[_name] = partial(_cls, **NEEDS.get(_name, {}))


@pytest.mark.parametrize("name", ALL)
def test_a_nan_shows_and_stays_in_its_row(name: str) -> None:
    torch.manual_seed(0)
    neuron: Any = ALL[name](D)
    x = draw(B, T, D).abs()
    x[1, T - 2, 3] = torch.nan
    spikes, state = neuron(x)
    told = [spikes, *(part for part in leaves(state) if part.is_floating_point())]
    assert any(part[1].isnan().any() for part in told)
    assert not any(part[0].isnan().any() for part in told)
    assert not spikes[:, :, torch.arange(D) != 3].isnan().any()


X = draw(B, T, D)
X[1, 7, 2] = torch.nan
ONE = torch.ones(D)
STATEFUL: dict[str, Callable[..., Any]] = {
    "lif": lambda **o: ops.lif(X, 0.5 * ONE, **o),
    "lif-hard": lambda **o: ops.lif(X, 0.5 * ONE, reset="hard", **o),
    "lif-none": lambda **o: ops.lif(X, 0.5 * ONE, reset="none", **o),
    "lif-tau-1": lambda **o: ops.lif(X, 0 * ONE, **o),
    "resonate": lambda **o: ops.resonate(X, 0.5 * ONE, ONE, **o),
}


@pytest.mark.parametrize("impl", ["cpu", "reference"])
@pytest.mark.parametrize("op", STATEFUL)
def test_a_membrane_that_is_nan_is_silent_and_stays_nan(op: str, impl: str) -> None:
    out = STATEFUL[op](return_membrane=True, impl=impl)
    expected = torch.zeros(B, T, D, dtype=torch.bool)
    expected[1, 7:, 2] = True
    assert torch.equal(out.membrane.isnan(), expected)
    assert not out.spikes[expected].any()
    assert not out.spikes.isnan().any()
    for part in out.state:
        assert torch.equal(part.isnan(), expected[:, -1])


@pytest.mark.parametrize("impl", ["cpu", "reference"])
def test_without_a_state_the_spike_is_nan(impl: Any) -> None:
    spikes = ops.spike(X, 0.5, impl=impl)
    assert torch.equal(spikes.isnan(), X.isnan())
    assert torch.equal(spikes.nan_to_num(), (X >= 0.5).float())


# Nothing stays as it was in memory, whatever is asked for.
@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    def fresh(shape: Any, like: Tensor, dtype: Any = None) -> Tensor:
        return like.new_full(tuple(shape), torch.nan, dtype=dtype or like.dtype)

    monkeypatch.setattr(call, "fresh", fresh)


def lif_with(t: dict[str, Tensor], impl: str, **options: Any) -> list[Tensor]:
    out = ops.lif(
        t["x"], t["beta"], LIFState(t["u"]), threshold=t["threshold"], reset="hard",
        v_reset=t["v_reset"], detach_reset=False, impl=impl, **options,
    )  # type: ignore[arg-type]  # fmt: skip
    return [out.spikes, *out.state, *([] if out.membrane is None else [out.membrane])]


def ring_with(t: dict[str, Tensor], impl: str, **options: Any) -> list[Tensor]:
    out = ops.resonate(
        t["x"], t["beta"], t["theta"], PRFState(t["u"], t["r"]), tau=t["tau"],
        threshold=t["threshold"], impl=impl, **options,
    )  # type: ignore[arg-type]  # fmt: skip
    return [out.spikes, *out.state, *([] if out.membrane is None else [out.membrane])]


def spike_with(t: dict[str, Tensor], impl: str, lengths: Any, **_: Any) -> list[Tensor]:
    return [ops.spike(t["x"], t["threshold"], lengths=lengths, impl=impl)]  # type: ignore[arg-type]


RUNS = {
    lif_with: ("x", "beta", "u", "threshold", "v_reset"),
    ring_with: ("x", "beta", "theta", "tau", "u", "r", "threshold"),
    spike_with: ("x", "threshold"),
}


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("steps", [0, 1, 65])
@pytest.mark.parametrize("channels", [3, 64])
def test_every_output_and_gradient_is_written(
    run: Any, batch: int, steps: int, channels: int
) -> None:
    names = RUNS[run]
    every = {
        "x": draw(batch, steps, channels, seed=1),
        "u": draw(batch, channels, seed=2),
        "r": draw(batch, channels, seed=3),
        **{n: draw(channels, seed=i).abs() * 0.3 + 0.4
           for i, n in enumerate(("beta", "theta", "tau", "threshold", "v_reset"), 4)},
    }  # fmt: skip
    subsets = [names, *((name,) for name in names)]
    for wanted, membrane, padded in itertools.product(subsets, (False, True), (False, True)):
        lengths = torch.arange(batch) * steps // 2 if padded else None
        results = []
        for impl in ("cpu", "reference"):
            t = {k: v.detach().clone().requires_grad_(k in wanted) for k, v in every.items()}
            out = run(t, impl, return_membrane=membrane, lengths=lengths)
            total = sum(o.sum() for o in out)
            chosen = [t[name] for name in wanted]
            # Without a step the loop has nothing to differentiate.
            some = impl == "cpu" or total.requires_grad
            grads = torch.autograd.grad(total, chosen, allow_unused=True) if some else ()
            results.append((out, grads or [None] * len(wanted)))
        (out, grads), (due, due_grads) = results
        for got, expected in zip(out, due, strict=True):
            assert torch.equal(got, expected)
        for got, expected in zip(grads, due_grads, strict=True):
            assert got is not None
            assert got.isfinite().all()
            torch.testing.assert_close(
                got, torch.zeros_like(got) if expected is None else expected, rtol=1e-4, atol=1e-5
            )
