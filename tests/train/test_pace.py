"""Steps a second of a trained network, or why there are none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.pytorch.plugins import Precision
from torch import Tensor, nn

from spikescan.data import SequenceBatch
from spikescan.models import SDTCM, Classifier, GRUBlock
from spikescan.ops._core.cpu import BUILT
from spikescan.train.pace import pace_of
from support import draw

pytestmark = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")


class Apart(nn.Module):
    """A task whose network reads each channel as a sequence of its own."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Any:
        return self.model(x.mT.flatten(0, 1).unsqueeze(-1))[0]


def test_the_network_is_given_what_its_task_gives_it() -> None:
    batch = SequenceBatch(draw(2, 30, 3), torch.zeros(2, dtype=torch.int64), None)
    task = Apart(Classifier(SDTCM, features=8, depth=1).eval())
    pace, notes = pace_of(task, batch, Precision())  # type: ignore[arg-type]
    assert pace is not None
    assert pace > 100
    assert notes == []


@pytest.mark.parametrize(
    ("block", "steps", "why"),
    [(GRUBlock, 9, "cannot fold "), (SDTCM, 0, "the first test sequence is empty")],
)
def test_what_does_not_fold_or_is_empty_has_a_note(
    block: type[nn.Module], steps: int, why: str
) -> None:
    task = Apart(Classifier(block, features=8, depth=2).eval())  # type: ignore[arg-type]
    batch = SequenceBatch(draw(2, steps, 3), torch.zeros(2, dtype=torch.int64), None)
    pace, (note,) = pace_of(task, batch, Precision())  # type: ignore[arg-type]
    assert pace is None
    assert note.startswith(f"no steps a second: {why}")
