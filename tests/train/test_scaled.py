"""A network measures the scale of its training data, and keeps it: prediction needs no data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from run_support import train

import spikescan
from spikescan.data import Facts, FixedSequences, Probe, Splits
from spikescan.models import MeanHead, Network
from spikescan.tasks import Classification


class Far(Probe):
    """Values in another unit, and far from zero; in the test more so."""

    @property
    def facts(self) -> Facts:
        return replace(super().facts, scaled=True, channels=("pressure",), rate=50.0)

    def load(self) -> Splits:
        parts = [part.batch(torch.arange(len(part)), 0) for part in super().load()]
        shifts = (200.0, 200.0, 900.0)
        return Splits(
            *(FixedSequences(b.x * 3 + s, b.y) for b, s in zip(parts, shifts, strict=True))
        )


class Forgetful(Classification):
    """Builds its network without the scale that the data ask for."""

    def __init__(self, backbone, facts) -> None:  # type: ignore[no-untyped-def]
        super().__init__(backbone, facts)
        self.model = Network(backbone, MeanHead(backbone.features, 4))


FAR = "--data=train.test_scaled.Far"


@pytest.mark.usefixtures("no_pictures")
def test_a_run_keeps_what_its_training_data_measured(tmp_path: Path) -> None:
    assert train(tmp_path, FAR) == 0
    model = spikescan.load(tmp_path / "run").model
    x = Far(length=16, samples=32).splits.train.x  # type: ignore[attr-defined]
    assert torch.allclose(model.scale.mean, x.mean((0, 1)))
    assert torch.allclose(model.scale.std, x.std((0, 1), correction=0))


@pytest.mark.usefixtures("no_pictures")
def test_a_task_that_would_not_scale_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, FAR, "--task=train.test_scaled.Forgetful") == 2
    assert capsys.readouterr().err == (
        "spikescan: Forgetful must scale the input of Far: give its Network scale=scale_of(facts)\n"
    )
