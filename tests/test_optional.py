"""A package of an extra that is not installed is one line that says what to install."""

from __future__ import annotations

import ast
import re
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import spikescan
from spikescan.cli import main
from spikescan.data import Classes, Facts, Series
from spikescan.data.heidelberg import read_spikes
from spikescan.data.mitbih import read_record
from spikescan.errors import MissingPackage, optional
from spikescan.models import SDTCM, Backbone
from spikescan.tasks import Classification

ROOT = Path(spikescan.__file__).parent
OURS = ("test", "docs", "bench", "triton")
"""Extras for those who build the project, and the compiler that kernels are chosen by."""


def extras() -> dict[str, str]:
    """The extra of each package that only an extra brings."""
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    lines = re.findall(r"^(\w+) = \[(.*)\]$", section, re.MULTILINE)
    return {
        re.split(r"[^\w-]", package)[0]: extra
        for extra, packages in lines
        if extra not in OURS
        for package in re.findall(r'"(.*?)"', packages)
    }


def imports() -> tuple[set[tuple[str, str, str]], set[tuple[str, str]]]:
    """File, package and extra of each call of ``optional``, and file and package of each import."""
    asked: set[tuple[str, str, str]] = set()
    plain: set[tuple[str, str]] = set()
    for path in ROOT.rglob("*.py"):
        file = path.relative_to(ROOT).as_posix()
        if file.startswith("bench/"):
            continue  # what others' neurons need is told by the benchmarks
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name("optional"), args=[ast.Constant(name), ast.Constant(extra), _]
                ):
                    asked.add((file, name, extra))
                case ast.Import(names=names):
                    plain |= {(file, alias.name.partition(".")[0]) for alias in names}
                case ast.ImportFrom(module=str(module), level=0):
                    plain.add((file, module.partition(".")[0]))
                case _:
                    pass
    return asked, plain


def sound(path: Path, width: int, rate: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(bytes(width * 900))
    return path


def recordings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(12):
        path = folder / "own" / ("low", "high")[i % 2]
        path.mkdir(parents=True, exist_ok=True)
        sound(path / f"{i}.wav", 2, 8000 if i else 16_000)
    assert main(["train", "--data", "wav", "--data.root", str(folder / "own")]) == 2


def trained(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    torch.manual_seed(0)
    facts = Facts(Classes(("low", "high")), length=30, inputs=1, rate=rate)
    task = Classification(Backbone(SDTCM, inputs=1, features=4), facts).eval()
    data = SimpleNamespace(facts=facts)
    monkeypatch.setattr("spikescan.train.trained.load_with_data", lambda run: (task, data))


def stream(width: int, rate: int) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def streamed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        trained(monkeypatch, 8000.0)
        assert main(["stream", "somewhere", str(sound(folder / "x.wav", width, rate))]) == 2

    return streamed


def export(to: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def exported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        trained(monkeypatch, 8000.0)
        words = ["--mean_outside"] if to == "nir" else []
        assert main(["export", "somewhere", "--to", to, "--out", str(folder), *words]) == 2

    return exported


def reader(read: Callable[[Path], object]) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(MissingPackage) as told:
            read(folder)
        print(told.value, file=sys.stderr)

    return used


def table(folder: Path) -> Path:
    (folder / "metr-la.h5").touch()
    return folder / "metr-la.h5"


def cartpole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["train", "cartpole", "--runs", str(folder)]) == 2


USES: dict[tuple[str, str], Callable[[Path, pytest.MonkeyPatch], None]] = {
    ("cli/feed.py", "soundfile"): stream(3, 8000),
    ("cli/feed.py", "soxr"): stream(2, 16_000),
    ("data/environment.py", "gymnasium"): cartpole,
    ("data/frame.py", "h5py"): reader(lambda folder: Series(path=str(table(folder))).setup()),
    ("data/heidelberg.py", "h5py"): reader(lambda folder: read_spikes(folder / "shd_train.h5")),
    ("data/mitbih.py", "wfdb"): reader(lambda folder: read_record(folder, "100")),
    ("data/own/wav.py", "soundfile"): recordings,
    ("data/own/wav.py", "soxr"): recordings,
    ("export/nir.py", "nir"): export("nir"),
    ("export/onnx.py", "onnx"): export("onnx"),
}
"""What a user does that comes to each ``optional``."""


def test_all_packages_of_extras_are_asked_for_in_one_way() -> None:
    asked, plain = imports()
    extra = extras()
    assert {"soundfile", "wfdb", "h5py", "gymnasium", "onnx", "nir"} <= {*extra}
    assert {(name, of) for _, name, of in asked} <= {*extra.items()}
    assert {(file, name) for file, name, _ in asked} == {*USES}
    # What is imported by name alone is for types, or after the package was asked for.
    assert {(file, name) for file, name in plain if name in extra} <= {*USES}


@pytest.mark.parametrize(("file", "package"), USES)
def test_a_missing_package_is_one_line(
    file: str,
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    USES[file, package](tmp_path, monkeypatch)
    *_, line = capsys.readouterr().err.splitlines()
    assert line.removeprefix("spikescan: ").endswith(
        f"needs {package}: pip install 'spikescan[{extras()[package]}]'"
    )


def test_a_package_that_does_not_run_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "halfway.py").write_text("raise OSError('libhalf.so is not there')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingPackage, match=r"half\]' \(it is there, but: libhalf\.so is not"):
        optional("halfway", "half", "this")
