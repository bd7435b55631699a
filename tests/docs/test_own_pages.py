"""The pages on own data: their commands and examples run as they stand, on small files."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import get_args

import pytest

import spikescan
from data.own_support import series, tones, ts
from spikescan.cli import main
from spikescan.cli.own import KINDS
from spikescan.data.own.detect import Kind

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: object) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return tmp_path


def commands(page: Path) -> list[list[str]]:
    lines = re.findall(r"^\$ spikescan (.*)$", page.read_text(), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def code(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


SHORT = ["--model.features=8", "--model.depth=1", "--trainer.max_epochs=1"]


def small_files(here: Path) -> None:
    tones(here / "recordings")
    ts(here / "waves.ts", 12)
    series(here / "load.csv", 240)


def test_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_files(here)
    for command in commands(ROOT / "docs" / "own_files.md"):
        assert main([*command, *(SHORT if command[0] == "train" else [])]) == 0, command
    for name in ("sounds", "at_once", "waves", "load", "speakers"):
        assert (here / "runs" / name / "report.html").is_file()
    out = capsys.readouterr().out
    assert "recordings/low/a_0.wav: " in out
    assert "step,date,load,heat" in out


def test_kinds_are_the_same_everywhere() -> None:
    page = (ROOT / "docs" / "own_files.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(get_args(Kind)) == {*KINDS}


def test_the_readme_leads_from_files_to_a_report(here: Path) -> None:
    small_files(here)
    text = (ROOT / "README.md").read_text().partition("## Your own files")[2].partition("\n## ")[0]
    (here / "part.md").write_text(text)
    pairs = commands(here / "part.md")
    assert [command[0] for command in pairs] == ["init", "train"] * 3
    for init, train in zip(pairs[::2], pairs[1::2], strict=True):
        assert main(init) == 0, init
        assert main([*train, f"--name={train[1]}", *SHORT]) == 0, train
        assert (here / "runs" / train[1] / "report.html").is_file()


def test_a_class_in_a_recipe(here: Path) -> None:
    (python,), (recipe,) = code("own_class.md", "python"), code("own_class.md", "yaml")
    (here / "hearts.py").write_text(python)
    (here / "hearts.yaml").write_text(recipe)
    for command in commands(ROOT / "docs" / "own_class.md"):
        assert main(command) == 0, command
    scale = spikescan.load("runs/hearts").model.scale
    assert (scale.mean - 1000).abs().max() < 20


def test_a_plain_loop(here: Path) -> None:
    names: dict[str, float] = {}
    for block in code("loop.md", "python"):
        exec(compile(block, "loop.md", "exec"), names)
    assert names["accuracy"] > 0.8
    assert (here / "network.pt").is_file()
