"""What tests of runs share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spikescan.train import run


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without their pictures, which take longer to draw than the small run to train."""

    def write_report(_: Any, path: Path) -> None:
        path.write_text("a page")

    monkeypatch.setattr(run, "write_report", write_report)
