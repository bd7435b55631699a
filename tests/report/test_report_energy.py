"""Pictures of energies and of answers to impulses say what was counted."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from spikescan.energy import Account, assume
from spikescan.models import SDTCM, Classifier
from spikescan.report import energy_breakdown, energy_section, impulse_responses, joules
from spikescan.report.style import NARROW, WIDE


@pytest.fixture(scope="module")
def account() -> Account:
    return assume(Classifier(SDTCM, features=8, depth=1), steps=10, rate=0.1)


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_both_accounts_and_every_costly_layer_are_drawn(account: Account, width: float) -> None:
    drawn = texts(energy_breakdown(account, width=width))
    for row in account.estimates():
        assert row.words in drawn
        assert joules(row.energy.computing) in drawn
    assert "time_mixer" in drawn
    assert "norm_time" not in drawn, "it folds"


def test_the_section_says_the_same_in_words(account: Account) -> None:
    section = energy_section(account)
    rows = account.estimates()
    assert [row[0] for row in section.table[1:]] == [row.words for row in rows]
    full = next(row for row in rows if row.name == "full")
    assert f"full count (45nm) {joules(full.energy.computing)}" in section.alt
    assert "An estimate" in section.caption
    assert "cheaper than the dense network" in section.caption


def test_energies_have_prefixes() -> None:
    assert [joules(v) for v in (1.0, 0.0123456, 3e-6, 4.5e-10, 0.0)] == [
        "1 J", "12.3 mJ", "3 µJ", "450 pJ", "0 J",
    ]  # fmt: skip


def test_answers_are_scaled_and_refused_when_wrong() -> None:
    answers = {"a": np.array([[4.0, 2.0, 1.0], [0.0, 0.0, 0.0]]), "b": np.ones((3, 5))}
    figure = impulse_responses(answers)
    lines = [line.get_ydata() for line in figure.axes[0].lines]
    assert max(float(np.max(line)) for line in lines) == 1.0
    assert "b" in texts(figure)
    for bad, words in (
        ({}, "got no layers"),
        ({"a": np.ones(3)}, r"impulses\['a'\]: got shape \(3,\)"),
        ({"a": np.array([[np.nan]])}, "got NaN or infinite"),
    ):
        with pytest.raises(ValueError, match=words):
            impulse_responses(bad)
