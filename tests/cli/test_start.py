"""What starting costs: the commands that list import nothing heavy, and names come when asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import spikescan
from spikescan import data, train
from spikescan.cli import TREE
from spikescan.cli.tree import Tree

_HEAVY = {"torch", "torch._dynamo", "triton", "lightning", "matplotlib", "sklearn", "jsonargparse"}


def _after(code: str) -> set[str]:
    """The heavy modules in a new process after this code, which leaves with status 0."""
    tell = f"import sys; print(*{_HEAVY!r} & {{*sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tell}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], set()),
        (["bench", "--help"], set()),
        (["recipes"], {"jsonargparse"}),
        (["data", "list"], {"jsonargparse"}),
        (["info"], {"jsonargparse", "torch"}),
    ],
)
def test_commands_import_only_what_they_need(arguments: list[str], allowed: set[str]) -> None:
    assert _after(f"from spikescan.cli import main; assert main({arguments}) == 0") <= allowed


def test_the_installed_command_is_the_command_line() -> None:
    command = Path(sys.executable).parent / "spikescan"  # its folder, not ours, is on the path
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"spikescan {spikescan.__version__}\n"


def test_rooms_and_names_come_when_asked_for() -> None:
    assert _after("import spikescan") == set()
    assert _after("import spikescan; spikescan.LIF; spikescan.models.SDTCM") == {"torch"}


def test_every_name_is_there() -> None:
    for module in (spikescan, data, train):
        for name in dir(module):
            assert getattr(module, name) is not None or name == "__spec__", name
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no .* 'LFI'"):
            module.LFI  # noqa: B018
    assert {"LIF", "models", "surrogate"} <= set(spikescan.__all__) <= set(dir(spikescan))


def _leaves(tree: Tree) -> int:
    return sum(1 if callable(item) else _leaves(item) for item in tree.values())


def test_every_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert spikescan.cli.main(["--help"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert len(lines) == _leaves(TREE)
    assert all(len(line.strip().split("  ")) >= 2 for line in lines)
