"""The PRF paper's Table 3, in form: its figures come out of its way of counting."""

from __future__ import annotations

import pytest

from spikescan.energy.papers import TABLE_3, LongRange

by_task = pytest.mark.parametrize("network", TABLE_3, ids=lambda n: n.task)


@by_task
def test_formulas_give_the_papers_figures(network: LongRange) -> None:
    # They print three decimals of a millijoule, and rates to a hundredth of a percent.
    assert network.papers_formula() == pytest.approx(network.told, rel=0.01)
    assert network.s4_formula() == pytest.approx(network.told_s4, rel=0.001)


@by_task
def test_full_count_is_of_the_same_order(network: LongRange) -> None:
    account = network.account()
    assert account.rate == pytest.approx(network.rate, rel=0.05)
    rows = {row.name: row.energy for row in account.estimates()}
    assert 0.5 < rows["full"].computing / network.told < 2
    assert rows["full"].computing < rows["dense_float32"].computing / 10
