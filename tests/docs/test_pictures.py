"""Every neuron has a picture, and drawing it again gives the same bytes."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_pictures", DOCS / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their annotations up here.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_pictures_and_pages_are_the_same(pictures: ModuleType) -> None:
    pages = {path.stem for path in (DOCS / "neurons").glob("*.md")} - {"index"}
    assert set(pictures.PICTURES) <= pages
    for name in pages:
        linked = f"](../img/{name}.svg)" in (DOCS / "neurons" / f"{name}.md").read_text()
        assert linked == (name in pictures.PICTURES), name


@pytest.mark.parametrize("name", ["probabilisticssm", "spatial"])
def test_a_second_drawing_is_the_same(pictures: ModuleType, name: str) -> None:
    first = pictures.draw(name)
    torch.rand(100)  # draws that come between change nothing
    assert pictures.draw(name) == first
    assert not re.search(rb"<dc:date>|<metadata>", first)
