"""``spikescan export``."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from spikescan import LIF
from spikescan.cli import main
from spikescan.data import Classes, Facts
from spikescan.models import SDTCM, Backbone
from spikescan.tasks import Classification
from support import draw


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run of a small network, and the folder to stand in."""
    torch.manual_seed(0)
    facts = Facts(Classes(("low", "high")), length=30, inputs=2)
    neuron = partial(LIF, reset="hard")
    task = Classification(Backbone(partial(SDTCM, neuron=neuron), inputs=2, features=8), facts)
    data = SimpleNamespace(
        facts=facts,
        prepare_data=lambda: None,
        setup=lambda stage: None,
        val_dataloader=lambda: [SimpleNamespace(x=draw(3, 30, 2))],
    )
    monkeypatch.setattr("spikescan.train.trained.load_with_data", lambda run: (task.eval(), data))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("run")
def test_c(capsys: pytest.CaptureFixture[str]) -> None:
    for more in ((), ("--quantize", "int8")):
        assert main(["export", "somewhere", "--out", "made", "--name", "net", *more]) == 0
        *files, sizes, last = capsys.readouterr().out.splitlines()
        assert [Path(file).read_text(encoding="utf-8") != "" for file in files] == [True] * 4
        assert "constants" in sizes
        assert last.startswith("next: cc -std=c99 -O2 made/net.c made/main.c")
        assert ("int8_t bytes[] = {\n    0\n}" in Path("made/net.c").read_text()) == (not more)
    assert main(["export", "somewhere", "--out", "made for it", "--name", "net"]) == 0
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert words[4:6] == ["made for it/net.c", "made for it/main.c"]
    assert "#define STEPS 30" in Path("made/test_vector.h").read_text()
    assert main(["export", "somewhere", "--name", "9lives"]) == 2
    assert "name must be a C identifier" in capsys.readouterr().err


@pytest.mark.usefixtures("run")
def test_what_nir_cannot_express_is_listed_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["export", "somewhere", "--to", "nir", "--check"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("head.mean: NIR has no mean")
    assert main(["export", "somewhere", "--check"]) == 0
    assert capsys.readouterr().out == "all of the network can be expressed\n"
    pytest.importorskip("nir")
    assert main(["export", "somewhere", "--to", "nir"]) == 2
    assert "NIR has no mean" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
    assert main(["export", "somewhere", "--to", "nir", "--mean_outside", "--out", "a/b"]) == 0
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["network.nir"]


@pytest.mark.usefixtures("run")
def test_onnx(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "somewhere", "--to", "onnx", "--check"]) == 0
    pytest.importorskip("onnx")
    assert main(["export", "somewhere", "--to", "onnx", "--out", "made"]) == 0
    assert "backbone.blocks.0.temporal.state (streams, 1, 8)" in capsys.readouterr().out
    assert Path("made/network.onnx").stat().st_size > 0


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(("to", "file"), [
    ("c", "net.c"),
    ("onnx", "net.onnx"),
    ("nir", "net.nir"),
])  # fmt: skip
def test_a_folder_that_cannot_be_written_to_is_one_line(
    to: str, file: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if to != "c":
        pytest.importorskip(to)
    (tmp_path / "afile").touch()
    (tmp_path / "taken" / file).mkdir(parents=True)
    arguments = ["export", "somewhere", "--to", to, "--mean_outside", "--name", "net"]
    for out, names in (("afile", "afile"), ("afile/x", "afile"), ("taken", f"taken/{file}")):
        assert main([*arguments, "--out", out]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"spikescan: --out {out} cannot be written to: ")
        assert names in line.partition(": ")[2].partition(": ")[2]
