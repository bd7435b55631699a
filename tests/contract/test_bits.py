"""At the width of real networks, float32: what a step has of the bits of the whole.

A dense product may add in another order for another number of rows; one differently rounded sum in
front of a threshold is one differing spike, and a recurrent network never forgets it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from spikescan import ALIF, DPLR, DSN, LIF, PRF, Neuron, SlidingPSN
from spikescan.models import SDTCM, Backbone, PSpikeSSM, SpikingSSM, SpikingTransformer
from spikescan.ops._core.cpu import BUILT
from support import draw

WIDTH, STEPS = 128, 200
_PRF = partial(PRF, threshold=0.05)
# What docs/exactness.md says holds to the last bit, from a width to what takes that many channels.
EXACT: dict[str, Callable[[int], nn.Module]] = {
    "SD-TCM, PRF": partial(SDTCM, neuron=_PRF),
    "SD-TCM, pre-norm": partial(SDTCM, neuron=_PRF, prenorm=True),
    "SD-TCM, LIF": partial(SDTCM, neuron=LIF),
    "SD-TCM, DSN": partial(SDTCM, neuron=DSN),
    "SD-TCM, ALIF": partial(SDTCM, neuron=ALIF),
    "SD-TCM, sliding PSN": partial(SDTCM, neuron=SlidingPSN),
    "spiking transformer": SpikingTransformer,
    "backbone, 40 inputs": lambda _: Backbone(partial(SDTCM, neuron=_PRF), inputs=40),
    "backbone, 8 inputs": lambda _: Backbone(partial(SDTCM, neuron=LIF), inputs=8),
    "backbone, 1 input": lambda _: Backbone(partial(SDTCM, neuron=_PRF), inputs=1),
    "transformers, 40 inputs": lambda _: Backbone(SpikingTransformer, inputs=40),
}
# What it says does not: a whole sequence is computed by other products than a step.
REGROUPED: dict[str, Callable[[int], nn.Module]] = {
    "spiking SSM": SpikingSSM,
    "spiking SSM, DSN, DPLR": partial(SpikingSSM, neuron=DSN, ssm=DPLR),
    "P-SpikeSSM": PSpikeSSM,
}
needs_kernels = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")


def trained(make: Callable[[int], nn.Module]) -> tuple[nn.Module, int]:
    """A module with the statistics of a few batches, and its number of channels."""
    torch.manual_seed(0)
    module = make(WIDTH)
    channels = module.inputs if isinstance(module, Backbone) else WIDTH
    for seed in range(3):
        module(draw(4, 50, channels, seed=seed))
    return module.eval(), channels


def in_pieces(module: nn.Module, x: Tensor, cuts: list[int]) -> Tensor:
    torch.manual_seed(3)
    state, pieces = None, list[Tensor]()
    for piece in x.split(cuts, 1):
        out, state = module(piece, state)
        pieces.append(out)
    return torch.cat(pieces, 1)


@needs_kernels
@pytest.mark.parametrize("name", EXACT)
@torch.no_grad()
def test_steps_and_chunks_have_the_bits_of_the_whole(name: str) -> None:
    module, channels = trained(EXACT[name])
    for batch in (1, 4):
        x = draw(batch, STEPS, channels, seed=9)
        whole = in_pieces(module, x, [STEPS])
        for cuts in ([1] * STEPS, [1, 64, 100, 35]):
            assert torch.equal(in_pieces(module, x, cuts), whole)


@needs_kernels
@pytest.mark.parametrize("name", REGROUPED)
@torch.no_grad()
def test_state_space_networks_differ_in_few_spikes(name: str) -> None:
    module, channels = trained(REGROUPED[name])
    x = draw(1, STEPS, channels, seed=9)
    neurons = [m for m in module.modules() if isinstance(m, Neuron)]
    fired = [list[Tensor]() for _ in neurons]
    for neuron, mine in zip(neurons, fired, strict=True):
        neuron.register_forward_hook(lambda _, __, out, mine=mine: mine.append(out[0]))
    spikes = list[Tensor]()
    for cuts in ([STEPS], [1] * STEPS):
        in_pieces(module, x, cuts)
        spikes.append(torch.stack([torch.cat(mine, 1) for mine in fired]))
        for mine in fired:
            mine.clear()
    whole, steps = spikes
    assert 0.01 < float((whole > 0).float().mean()) < 0.9
    assert float((whole != steps).float().mean()) <= 1e-4
