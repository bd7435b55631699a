"""Whatever fires at random inside: a row has the same spikes alone, in a batch and in any stack."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from test_complete import public
from torch import Tensor, nn

from spikescan import LIF, S4D
from spikescan.models import SDTCM, Backbone, Block, Classifier, PSpikeSSM, SpikingConv
from spikescan.neurons.base import Recurrent
from spikescan.neurons.sampler import Stochastic
from spikescan.ops.bernoulli import fresh_keys
from support import draw, give_statistics, leaves, seeded

B, T, D = 3, 12, 8
PUBLIC = sorted(public(), key=lambda kind: kind.__name__)


def neuron(kind: type[Any]) -> Callable[[int], Any]:
    """A neuron that fires now and then: a state-space model in it answers within a few steps."""
    inner = "ssm" in inspect.signature(kind).parameters
    return partial(kind, ssm=partial(S4D, dt_min=0.1, dt_max=0.5)) if inner else kind


def stacks() -> dict[str, Callable[[], nn.Module]]:
    """Two blocks and a readout, of every block with every neuron that draws; images too."""
    found: dict[str, Callable[[], nn.Module]] = {}
    for random in (kind for kind in PUBLIC if issubclass(kind, Stochastic)):
        fires = neuron(random)
        for block in (kind for kind in PUBLIC if issubclass(kind, Block)):
            takes = "neuron" in inspect.signature(block).parameters
            one = partial(block, neuron=fires) if takes else block
            found[f"{block.__name__}-{random.__name__}"] = partial(
                Backbone, one, inputs=D, features=D, depth=2, readout=fires
            )
        found[f"SpikingConv-{random.__name__}"] = partial(SpikingConv, 1, 2, neuron=fires)
        found[f"Classifier-{random.__name__}"] = partial(
            Classifier, partial(SDTCM, neuron=fires, bidirectional=True), inputs=D, features=D
        )
    return found


STACKS = stacks()
every_stack = pytest.mark.parametrize("name", STACKS)


def build(name: str) -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    module = STACKS[name]().eval()
    give_statistics(module)
    x = draw(B, T, D)
    return module, x.unflatten(2, (1, 2, D // 2)) if isinstance(module, SpikingConv) else x


@every_stack
def test_keys_are_those_of_all_parts(name: str) -> None:
    module, x = build(name)
    for part in (m for m in module.modules() if isinstance(m, Recurrent)):
        inside = list(part.modules())
        draws = sum(isinstance(m, Stochastic) for m in inside)
        spare = sum(isinstance(m, PSpikeSSM) and m.backward_neuron is None for m in inside)
        assert part.random_keys == draws + spare
        assert not draws or "generator" in inspect.signature(part.forward).parameters
    assert module.random_keys > 0
    generator, other = seeded(5), seeded(5)
    module(x, generator=generator)
    fresh_keys(B, module.random_keys, x.device, other)
    assert torch.equal(generator.get_state(), other.get_state())


@every_stack
def test_a_row_alone_is_the_row_in_a_batch(name: str) -> None:
    module, x = build(name)
    keys = fresh_keys(B, module.random_keys, x.device, seeded(5))
    out, state = module(x, generator=keys)
    assert torch.equal(module(x, generator=seeded(5))[0], out)
    torch.manual_seed(5)
    assert torch.equal(module(x)[0], out)
    generator = seeded(5)
    for row in range(B):
        alone, end = module(x[row : row + 1], generator=keys[row : row + 1])
        torch.testing.assert_close(alone, out[row : row + 1])
        torch.testing.assert_close(module(x[row : row + 1], generator=generator)[0], alone)
        for mine, all_rows in zip(leaves(end), leaves(state), strict=True):
            share = len(all_rows) // B
            torch.testing.assert_close(mine, all_rows[row * share : (row + 1) * share])
    assert not torch.equal(module(x, generator=seeded(6))[0], out)


@every_stack
def test_no_two_parts_draw_the_same_numbers(name: str) -> None:
    module, x = build(name)
    found: list[Tensor] = []
    hooks = [
        m.register_forward_hook(lambda _module, _inputs, out: found.append(out[1]))
        for m in module.modules()
        if isinstance(m, Stochastic) and m.causal
    ]
    module(x, generator=seeded(5))
    keys = torch.cat([getattr(state, "sampler", state).key for state in found])
    assert len(keys.unique()) == len(keys) >= len(hooks) * B


@every_stack
def test_a_generator_and_a_state_are_refused(name: str) -> None:
    module, x = build(name)
    if not module.causal:
        pytest.skip("has no state")
    _, state = module(x)
    with pytest.raises(ValueError, match="a generator draws the keys of a rested state"):
        module(x, state, generator=seeded())
    with pytest.raises(ValueError, match=rf"keys must be int64 of shape \({B}, "):
        module(x, generator=torch.zeros(B, module.random_keys + 1, dtype=torch.int64))


def test_a_network_that_does_not_draw_takes_nothing_from_a_generator() -> None:
    generator, module = seeded(5), Backbone(partial(SDTCM, neuron=LIF), features=4)
    before = generator.get_state()
    module(draw(2, 5, 1), generator=generator)
    assert module.random_keys == 0
    assert torch.equal(generator.get_state(), before)
