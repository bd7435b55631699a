"""At the width of real networks, float32: a step of a spiking block has the bits of the whole.

A dense product may add in another order for another number of rows; one differently rounded sum in
front of a threshold is one differing spike, and a recurrent network never forgets it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from spikescan import DSN, LIF, PRF
from spikescan.models import SDTCM, Block, SpikingSSM, SpikingTransformer
from spikescan.ops._core.cpu import BUILT
from support import draw

WIDTH, STEPS = 128, 200
BLOCKS: dict[str, Callable[[int], Block]] = {
    "SD-TCM, PRF": partial(SDTCM, neuron=partial(PRF, threshold=0.05)),
    "SD-TCM, pre-norm": partial(SDTCM, neuron=partial(PRF, threshold=0.05), prenorm=True),
    "SD-TCM, LIF": partial(SDTCM, neuron=LIF),
    "SD-TCM, DSN": partial(SDTCM, neuron=DSN),
    "spiking transformer": SpikingTransformer,
    "spiking SSM": SpikingSSM,
}


@pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
@pytest.mark.parametrize("name", BLOCKS)
@torch.no_grad()
def test_steps_and_chunks_have_the_bits_of_the_whole(name: str) -> None:
    torch.manual_seed(0)
    block = BLOCKS[name](WIDTH)
    for seed in range(3):
        block(draw(4, 50, WIDTH, seed=seed))  # statistics of its normalisation
    block.eval()
    x = draw(4, STEPS, WIDTH, seed=9)
    whole, _ = block(x)
    for cuts in ([1] * STEPS, [1, 64, 100, 35]):
        state, pieces = None, list[Tensor]()
        for piece in x.split(cuts, 1):
            out, state = block(piece, state)
            pieces.append(out)
        assert torch.equal(torch.cat(pieces, 1), whole)
