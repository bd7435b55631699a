"""The commit that a result names is spikescan's own, or none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from spikescan.train.environment import commit


def repository(folder: Path, file: str) -> None:
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_text("")
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "first")):
        subprocess.run(["git", *command], cwd=folder, check=True)


def test_a_users_repository_is_not_named(tmp_path: Path) -> None:
    installed = "venv/lib/site-packages/spikescan"
    repository(tmp_path, f"{installed}/__init__.py")
    assert commit(tmp_path / installed) is None
    assert commit(tmp_path) is None


def test_the_own_checkout_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path, "src/spikescan/__init__.py")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    own = commit(tmp_path / "src" / "spikescan")
    assert own is not None
    assert int(own, 16) > 0
    (tmp_path / "src" / "spikescan" / "__init__.py").write_text("changed")
    assert commit(tmp_path / "src" / "spikescan") == f"{own}-dirty"
