"""The spiking state-space block, and its baseline without spikes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from ssm_support import (
    SMALL,
    SMALL_DPLR,
    TWO_SIDED,
    B,
    D,
    Make,
    T,
    build,
    by_cuts,
    cases,
    check_classifier_runs_step_by_step,
    check_no_dead_parameters,
    check_training_lowers_the_loss,
    check_whole_is_chunks_is_steps,
    draw,
    dtypes,
    run,
)
from torch import Tensor

from spikescan import DSN, LIF, PRF, ProbabilisticSSM, Spatial, SpikeSampler
from spikescan.models import S4DBlock, SpikingSSM
from tolerance import ELEMENT, REGROUPED, assert_close

CAUSAL: dict[str, Make] = {
    "SpikingSSM": partial(SpikingSSM, ssm=SMALL),
    "SpikingSSM-PRF": partial(SpikingSSM, ssm=SMALL_DPLR, neuron=PRF, norm="layer"),
    "SpikingSSM-DSN": partial(SpikingSSM, ssm=SMALL, neuron=DSN, norm="none"),
    "S4DBlock": partial(S4DBlock, ssm=SMALL),
    "S4DBlock-post": partial(S4DBlock, ssm=SMALL, norm="layer", prenorm=False),
}
FUTURE: dict[str, Make] = {
    "SpikingSSM-two-sided": partial(SpikingSSM, ssm=TWO_SIDED),
    "S4DBlock-two-sided": partial(S4DBlock, ssm=TWO_SIDED),
}


@cases(CAUSAL)
@dtypes
@by_cuts
@pytest.mark.parametrize("batch", [1, B])
def test_whole_is_chunks_is_steps(
    make: Make, dtype: torch.dtype, cuts: Sequence[int], batch: int
) -> None:
    check_whole_is_chunks_is_steps(make, dtype, cuts, batch)


def test_steps_in_training_are_refused_under_batch_norm() -> None:
    block = SpikingSSM(D)
    with pytest.raises(RuntimeError, match=r"eval\(\)"):
        block.step(torch.zeros(B, D))
    block.eval().step(torch.zeros(B, D))


@pytest.mark.parametrize(
    "neuron", [LIF, PRF, Spatial, DSN, ProbabilisticSSM, SpikeSampler], ids=lambda n: n.__name__
)
def test_any_neuron_fits(neuron: Any) -> None:
    block = build(partial(SpikingSSM, ssm=SMALL, neuron=neuron))
    x = 3 * draw(B, T, D)
    seen: list[Tensor] = []
    block.neuron.register_forward_hook(lambda _m, _x, out: seen.append(out[0]))
    z, _ = run(block, x)
    spikes = seen[0]
    assert_close(z, x + F.linear(spikes, block.linear.weight, block.linear.bias), ELEMENT)
    drive = block.ssm(block.norm(x), None, None, block.skip)[0]
    torch.manual_seed(3)
    assert torch.equal(block.neuron(drive)[0], spikes)


def test_baseline_is_its_equation() -> None:
    block, x = build(CAUSAL["S4DBlock-post"]), draw(B, T, D)
    y = F.gelu(block.ssm(x)[0] + block.skip * x)
    first, second = F.linear(y, block.linear.weight, block.linear.bias).chunk(2, -1)
    due = F.layer_norm(
        x + first * torch.sigmoid(second),
        (D,),
        block.norm_out.weight,
        block.norm_out.bias,
        block.norm_out.eps,
    )
    assert_close(block(x)[0], due, REGROUPED)


@cases({**CAUSAL, **FUTURE})
def test_no_dead_parameters(make: Make) -> None:
    # Strong enough a drive for the resonating neurons, which integrate slowly, to fire.
    check_no_dead_parameters(build(make), 30 * draw(16, T, D))


# Whole networks


def test_classifier_runs_step_by_step() -> None:
    check_classifier_runs_step_by_step(CAUSAL["SpikingSSM"])


@cases({k: CAUSAL[k] for k in ("SpikingSSM", "S4DBlock")})
def test_training_lowers_the_loss(make: Make) -> None:
    check_training_lowers_the_loss(make)
