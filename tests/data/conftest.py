"""Real data where they exist, and a server on this machine for everything about downloads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from data_server import Server, serve

from spikescan.data import MNIST, SpokenDigits, find_source, missing

# Beside a checkout there may be a folder with the data sets; the variable comes first.
_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def own_cache(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Generated data leave nothing in the user's cache; what real ones become is kept there."""
    if not {"real_root", "real_folder"} & {*request.fixturenames}:
        monkeypatch.setenv("SPIKESCAN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def real_root() -> Callable[[str], str]:
    """Give the root that holds a data set, or skip the test that asks for it."""
    root = os.environ.get("SPIKESCAN_DATA") or str(_BESIDE)

    def find(name: str) -> str:
        if absent := missing(find_source(name), root):
            pytest.skip(f"needs {name}: {absent[0]} is absent (set SPIKESCAN_DATA)")
        return root

    return find


@pytest.fixture(scope="session")
def real_folder() -> Callable[[str], str]:
    """Give the root below which there is a folder of real data, or skip the test that asks."""
    root = os.environ.get("SPIKESCAN_DATA") or str(_BESIDE)

    def find(name: str) -> str:
        if not (Path(root) / name).is_dir():
            pytest.skip(f"needs {root}/{name}, which is absent (set SPIKESCAN_DATA)")
        return root

    return find


@pytest.fixture(scope="session")
def mnist(real_root: Callable[[str], str]) -> MNIST:
    return MNIST(root=real_root("mnist"))


@pytest.fixture(scope="session")
def speech(real_root: Callable[[str], str]) -> SpokenDigits:
    return SpokenDigits(root=real_root("fsdd"))


@pytest.fixture
def server(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    # A proxy of the surroundings must not see requests to this machine.
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with serve(tmp_path_factory.mktemp("served")) as started:
        yield started
