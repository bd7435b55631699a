"""Every case runs at a tiny shape, its check passes there, and peers compute what ours does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from spikescan.bench.case import OURS, Case, Shape, Wrong
from spikescan.bench.cases import CASES, exact, gpu, memory
from spikescan.bench.compare import same
from spikescan.bench.inputs import forget
from spikescan.bench.peers import why_missing

SHAPES = {case.name: Shape(1024, 1, 8) for case in CASES if "-growth" in case.name}


@pytest.fixture(autouse=True)
def forget_inputs() -> Iterator[None]:
    yield
    forget()


# Cases for a GPU differ in T alone; here they run on the CPU.
DISTINCT = [c for c in CASES if c.shape.device == "cpu" or c.shape.steps == gpu.LENGTHS[0]]


@pytest.mark.parametrize("case", DISTINCT, ids=lambda case: case.name)
def test_every_case_passes_its_check_with_all_contenders_that_are_here(case: Case) -> None:
    shape = SHAPES.get(case.name, Shape(96, 2, 8))
    here = [c for c in case.contenders if why_missing(c.peer) is None]
    runs = {contender.name: contender.make(shape) for contender in here}
    for run in runs.values():
        for out in run():
            assert bool(out.isfinite().all())
    case.check(shape, runs)


def test_the_suite_has_a_case_for_each_requirement() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    required = {
        "lif-long", "lif-longer", "lif-narrow", "lif-floor", "prf-floor", "prf-fft-1024",
        "prf-fft-4096", "prf-fft-16384", "dsn-recurrence", "dsn-recurrence-narrow", "dsn-psn",
        "lif-growth", "prf-growth", "memory", "spikes-exact", "spike-product", "training-step",
        "stream-step", "stream-rates", "stream-threads", "stream-quiet", "dropout",
    }  # fmt: skip
    assert {case.name for case in CASES if case.goals} >= required
    for case in CASES:
        assert case.shape.elements > case.quick.elements
        for goal in case.goals:
            better = 1 if goal.at_least else -1
            assert goal.stretch is None or better * (goal.stretch - goal.required) > 0


def test_spikes_are_counted_and_one_that_differs_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape(200, 2, 8)
    facts = exact.count(shape)
    assert facts["spikes that differ"] == 0
    assert facts["spikes compared"] > 500
    ours = torch.ones(1, 4, 2)
    loop = ours.clone()
    loop[0, 3, 1] = 0
    monkeypatch.setattr(exact, "spikes", lambda shape: iter([("made up", ours, loop)]))
    with pytest.raises(Wrong, match="made up: 1 of 7 spikes differ"):
        exact.count(shape)


def test_comparison_allows_what_it_is_told_and_no_more() -> None:
    spikes = torch.ones(1, 100, 1)
    other = spikes.clone()
    other[0, 0] = 0
    gradient = torch.ones(5)
    assert "1 of 99 spikes" in same((spikes, gradient), (other, gradient), who="it", spikes=0.02)
    with pytest.raises(Wrong, match="1 of 99 spikes differ from it"):
        same((spikes, gradient), (other, gradient), who="it", spikes=0.01)
    with pytest.raises(Wrong, match=r"gradients within 1.0e-03, allowed 1e-04"):
        same((spikes, gradient * 1.001), (spikes, gradient), who="it", gradient=1e-4)
    with pytest.raises(Wrong, match="no spikes in it"):
        same((0 * spikes,), (0 * spikes,), who="it")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_memory_is_measured_in_a_fresh_process() -> None:
    shape = Shape(4096, 8, 128)  # 16 MiB
    assert memory.extra("LIF as a plain loop", shape) > 2
    assert memory.extra("LIF", shape) < 0.3


def test_quick_growth_cuts_what_it_times() -> None:
    growth = next(case for case in CASES if case.name == "lif-growth")
    shape = Shape(2048, 1, 8)
    runs = {c.name: c.make(shape) for c in growth.contenders}
    sizes = {name: run()[0].shape for name, run in runs.items()}
    assert sizes["T / 1024"] == (1024, 2, 8)
    assert sizes["whole T"] == (1, 2048, 8)
    assert OURS not in sizes
