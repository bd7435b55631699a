"""Thresholds: numbers, one for each neuron, and learned ones, in every neuron that has one."""

from __future__ import annotations

import inspect
import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikescan import ALIF, LIF, PRF, Spatial, neurons
from spikescan.ops.surrogate import Gaussian, Surrogate
from support import draw
from tolerance import ELEMENT, SUMMED, assert_close

D = 70  # a block of whole vectors, and some channels more
RESETS = [("soft", True), ("soft", False), ("hard", True), ("hard", False), ("none", True)]
CASES: dict[str, Any] = {
    f"LIF-{reset}{'' if detach else '-full'}": partial(LIF, reset=reset, detach_reset=detach)
    for reset, detach in RESETS
} | {
    "PRF": partial(PRF, dt_min=0.1, dt_max=1.0),
    "Spatial": Spatial,
    "ALIF": ALIF,
    "ALIF-full": partial(ALIF, detach_reset=False),
}
# A neuron that needs no special case is tested as its defaults make it.
CASES |= {
    name: getattr(neurons, name)
    for name in neurons.__all__
    if inspect.isclass(getattr(neurons, name))
    and "threshold" in inspect.signature(getattr(neurons, name)).parameters
    and name not in {case.split("-")[0] for case in CASES}
}
EACH = pytest.mark.parametrize("make", CASES.values(), ids=CASES)


class Loop(Surrogate):
    """Gaussian(0.5) in a class that no kernel knows: ops run their loop in torch."""

    def derivative(self, v: Tensor) -> Tensor:
        return Gaussian(0.5).derivative(v)


def starts(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.linspace(0.2, 1.1, D, dtype=dtype)


def build(make: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    return make(D, **options).double()


def run(neuron: Any, *, lengths: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    x = draw(2, 90, D, seed=3, dtype=torch.float64, shift=0.2).requires_grad_()
    spikes, state = neuron(x, lengths=lengths)
    total = (spikes * draw(2, 90, D, seed=4, dtype=torch.float64)).sum()
    for i, part in enumerate(state):
        total = total + (part * draw(2, D, seed=5 + i, dtype=torch.float64)).sum()
    total.backward()
    leaves = {"x": x, **dict(neuron.named_parameters())}
    return spikes.detach(), {k: v.grad for k, v in leaves.items() if v.grad is not None}


@EACH
@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_learned_thresholds_have_the_gradients_of_the_loop(make: Any, padded: bool) -> None:
    options = {"threshold": starts(), "learnable_threshold": True}
    lengths = torch.tensor([90, 31]) if padded else None
    spikes, grads = run(build(make, **options, surrogate=Gaussian(0.5)), lengths=lengths)
    due, due_grads = run(build(make, **options, surrogate=Loop()), lengths=lengths)
    assert torch.equal(spikes, due)
    assert 0.02 < spikes.mean() < 0.9
    assert grads.keys() == due_grads.keys()
    assert float(grads["threshold"].abs().min()) > 0
    for name, value in due_grads.items():
        assert_close(grads[name], value, ELEMENT if name == "x" else SUMMED, name)


@EACH
def test_one_for_each_neuron_is_the_number_for_that_neuron(make: Any) -> None:
    levels = starts().round(decimals=1)
    spikes, grads = run(build(make, threshold=levels))
    for level in levels.unique().tolist():
        alone, alone_grads = run(build(make, threshold=level))
        chosen = levels == level
        assert torch.equal(spikes[..., chosen], alone[..., chosen])
        assert torch.equal(grads["x"][..., chosen], alone_grads["x"][..., chosen])


@EACH
def test_a_parameter_is_trained_as_it_is(make: Any) -> None:
    shared = nn.Parameter(torch.tensor(0.6))
    neuron = make(D, threshold=shared)
    assert neuron.threshold is shared
    assert any(p is shared for p in neuron.neuron_parameters())
    before = neuron(draw(2, 90, D, shift=0.2))[0]
    before.sum().backward()
    assert shared.grad is not None
    # More current is what fewer spikes ask for: a higher threshold fires less.
    assert float(shared.grad) < 0
    with torch.no_grad():
        shared.fill_(1.2)
    assert neuron(draw(2, 90, D, shift=0.2))[0].sum() < before.sum()


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_are_the_whole_with_own_thresholds(make: Any, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    neuron = make(D, threshold=starts(torch.float32))
    x = draw(2, 20, D, dtype=dtype)
    whole, _ = neuron(x)
    state, steps = None, []
    for x_t in x.unbind(1):
        s, state = neuron.step(x_t, state)
        steps.append(s)
    assert torch.equal(torch.stack(steps, 1), whole)


@EACH
@pytest.mark.parametrize("learnable", [False, True])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_thresholds_must_be_finite(make: Any, bad: float, learnable: bool) -> None:
    for value in (bad, torch.tensor([0.5, bad, 1.0])):
        with pytest.raises(ValueError, match=r"^threshold must be finite, got "):
            make(3, threshold=value, learnable_threshold=learnable)


@EACH
def test_thresholds_of_another_shape(make: Any) -> None:
    with pytest.raises(ValueError, match="threshold") as raised:
        make(3, threshold=torch.ones(4))
    assert str(raised.value) == "threshold must be a number or have shape (3,), got (4,)"


@EACH
def test_a_threshold_computed_elsewhere_is_refused(make: Any) -> None:
    source = nn.Parameter(torch.ones(3))
    with pytest.raises(ValueError, match="learnable_threshold=True"):
        make(3, threshold=2 * source)


# The membrane after a hard reset.
@pytest.mark.parametrize("detach", [True, False], ids=["detached", "full"])
def test_reset_levels_of_each_neuron(detach: bool) -> None:
    hard = partial(LIF, reset="hard", detach_reset=detach, learnable_threshold=True)
    target = nn.Parameter(torch.linspace(-0.5, 0.1, D, dtype=torch.float64))
    results = []
    for surrogate in (Gaussian(0.5), Loop()):
        target.grad = None
        results.append(run(build(hard, v_reset=target, surrogate=surrogate)))
    (spikes, grads), (due, due_grads) = results
    assert torch.equal(spikes, due)
    assert float(grads["v_reset"].abs().min()) > 0
    for name, value in due_grads.items():
        assert_close(grads[name], value, ELEMENT if name == "x" else SUMMED, name)
    with pytest.raises(ValueError, match=r"^v_reset must be finite, got nan$"):
        LIF(3, reset="hard", v_reset=math.nan)


def test_a_number_below_zero_is_where_a_hard_reset_goes() -> None:
    neuron = LIF(1, tau=2.0, reset="hard", v_reset=-1.0)
    _, state = neuron(torch.full((1, 1, 1), 1.5))
    assert state.v.tolist() == [[-1.0]]
