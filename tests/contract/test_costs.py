"""Every neuron and every kind of part says what it costs, and a new one that does not is told."""

from __future__ import annotations

import inspect
from functools import partial

import pytest
import torch
from cases import CASES, SO_FAR, Case
from torch import nn

import spikescan.neurons
from spikescan import LIF
from spikescan.energy import measure
from spikescan.models import SDTCM
from spikescan.models.walk import Part, walk
from spikescan.neurons import Neuron, Operations, StateSpace

D, T = 6, 37
WALKED = [case for case in (*CASES, *SO_FAR) if hasattr(case.make(D), "parts")]


@pytest.mark.parametrize("case", [*CASES, *SO_FAR], ids=lambda c: c.name)
def test_every_neuron_says_what_it_computes(case: Case) -> None:
    for module in case.make(D).modules():
        if isinstance(module, Neuron | StateSpace):
            assert sum(vars(module.operations()).values()) > 0


def test_every_public_neuron_is_among_the_cases() -> None:
    public = {getattr(spikescan.neurons, name) for name in spikescan.neurons.__all__}
    kinds = {k for k in public if inspect.isclass(k) and issubclass(k, Neuron | StateSpace)}
    found = {type(m) for case in (*CASES, *SO_FAR) for m in case.make(D).modules()}
    assert {kind for kind in kinds if not inspect.isabstract(kind)} - found == set()


@pytest.mark.parametrize("case", WALKED, ids=lambda c: c.name)
def test_every_block_and_network_has_an_account(case: Case) -> None:
    module = case.make(D)
    account = measure(module, [(torch.randn(2, T, D), None)])
    assert account.parameters == sum(p.numel() for p in module.parameters())
    for row in account.estimates():
        assert row.energy.computing >= 0


def test_every_kind_of_part_is_among_them() -> None:
    found = {type(part) for case in WALKED for part in walk(case.make(D))}
    assert {*Part.__subclasses__()} - found == set()


class Silent(LIF):
    """A neuron of one's own that does not say what it costs."""

    def operations(self) -> Operations:
        return Neuron.operations(self)


def test_a_neuron_that_does_not_say_is_named() -> None:
    block: nn.Module = SDTCM(D, neuron=partial(Silent))
    with pytest.raises(NotImplementedError, match=r"^Silent does not say what a step of it comp"):
        measure(block, [(torch.randn(2, T, D), None)])


def test_no_data_is_told() -> None:
    with pytest.raises(ValueError, match=r"^an account needs at least one step"):
        measure(SDTCM(D), [])
