"""Names that are imported when first asked for."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

LAZY = ["spikescan", "spikescan.data", "spikescan.train"]


@pytest.mark.parametrize("package", LAZY)
def test_no_name_is_hidden_by_a_module(package: str) -> None:
    """An imported submodule becomes an attribute, and would stand before a lazy name."""
    room = import_module(package)
    modules = {module.name for module in pkgutil.iter_modules(room.__path__)}
    names = {name for name in room.__all__ if not _is_module(getattr(room, name))}
    assert not names & modules


def _is_module(value: object) -> bool:
    return type(value).__name__ == "module"
