"""What Python and the compiled kernels must agree on, and how the kernels are compiled."""

from __future__ import annotations

import importlib
import re
import struct
import sys
from pathlib import Path

import pytest
import torch

import spikescan.ops
from spikescan.ops._core.cpu import BUILT, bfloat16, call
from spikescan.ops.dsn import api as dsn_api
from spikescan.ops.dsn import contract as dsn_contract
from spikescan.ops.lif.api import RESETS
from spikescan.ops.spike_linear import contract as product
from spikescan.ops.surrogate import SURROGATES

OPS = Path(spikescan.ops.__file__).parent
KERNELS = sorted(path.parent.name for path in OPS.glob("*/kernel.inc.h"))
CODES = {"int64_t": "q", "strides": "3q", "double": "d"}
ELSEWHERE = {
    "dsn": {"bias"},  # the last row of its weights in C
    "lif": {"leak"},  # beta in C
    "spike_linear": {"want_gs"},  # a kernel of its own
}
built = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")


def test_there_are_kernels() -> None:
    assert len(KERNELS) >= 9


@built
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("op", KERNELS)
def test_arguments_are_laid_out_as_the_c_struct(op: str, dtype: torch.dtype) -> None:
    """Size and offset of every field, as the compiler tells them, are those that Python packs."""
    *fields, end = call._listed(f"spikescan_{op}_layout_{call._SUFFIX[dtype]}")
    code = ""
    for field in fields:
        assert field.value == struct.calcsize(code), field.name
        kind = CODES.get(field.type.decode(), "P")
        assert field.size == struct.calcsize(kind), field.name
        code += kind
    assert end.value == struct.calcsize(code)
    layout = call.layout(op, dtype)
    assert len(layout.pack(*layout.words)) == end.value
    names = {field.name.decode() for field in fields}
    assert layout.places.keys() == names
    assert len(names) == len(fields)


@built
@pytest.mark.parametrize("op", KERNELS)
def test_flags_and_strides_belong_to_tensors(op: str) -> None:
    places = call.layout(op).places
    for name in places:
        of = re.fullmatch(r"has_(\w+)|(\w+)_stride", name)
        assert of is None or (of[1] or of[2]) in places, name


@built
@pytest.mark.parametrize("op", KERNELS)
def test_fields_have_the_names_of_the_contract(op: str) -> None:
    """A call by keyword finds its place by its name."""
    if op == "batch_norm":
        pytest.skip("its passes are not those of its contract")
    contract = importlib.import_module(f"spikescan.ops.{op}.contract")
    listed = [getattr(contract, kind, None) for kind in ("Forward", "Backward")]
    names = {name for kind in listed if kind is not None for name in kind._fields}
    assert names - call.layout(op).places.keys() <= ELSEWHERE.get(op, set())


@built
def test_a_library_of_another_version_is_told() -> None:
    with pytest.raises(RuntimeError, match="not of this version, spikescan_other_layout_f32 is"):
        call.layout("other")
    with pytest.raises(RuntimeError, match="not of this version, spikescan_other_forward_f32 is"):
        call._function("other_forward", torch.float32)  # type: ignore[attr-defined]


@built
def test_a_library_of_another_version_is_told_when_ops_are_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And not hidden behind names that could not be imported."""
    monkeypatch.setattr("ctypes.CDLL", lambda path: object())
    with pytest.raises(RuntimeError, match="not of this version, spikescan_cpu_bfloat16 is"):
        bfloat16.__wrapped__()


@built
def test_codes_are_those_of_python() -> None:
    """Python's, which the kernels of GPUs share, against the C sources' enumerators by name."""
    names = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper() for kind in SURROGATES]
    assert call.constants("spike") == {name: code for code, name in enumerate(names)}
    lif = call.constants("lif")
    assert {name: lif[f"RESET_{name.upper()}"] for name in RESETS} == {
        name: code for code, name in enumerate(RESETS)
    }
    dsn = call.constants("dsn")
    assert dsn["WINDOW"] == dsn_contract.WINDOW
    assert dsn["MAX_TAPS"] == dsn_api.MAX_TAPS
    assert call.constants("spike_linear")["WORD"] == product.WORD


COMPILER = """#!/bin/sh
echo "$*" >> "{log}"
echo "a new warning" >&2
case "$*" in *-Werror*) exit 1 ;; esac
while [ "$1" != -o ]; do shift; done
touch "$2"
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the compiler")
def test_a_warning_fails_our_checks_and_no_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).resolve().parents[2]
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(root)
    hatch_build = importlib.import_module("hatch_build")
    compiler, log = tmp_path / "cc", tmp_path / "log"
    compiler.write_text(COMPILER.format(log=log))
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.delenv("SPIKESCAN_WERROR", raising=False)
    assert "a new warning" in hatch_build.compile_level("generic", tmp_path)
    assert (tmp_path / f"generic{hatch_build.suffix()}").exists()
    commands = log.read_text()
    for op in KERNELS:
        assert commands.count(f"{op}/kernel.inc.h") == 2  # float and double
    monkeypatch.setenv("SPIKESCAN_WERROR", "1")
    with pytest.raises(RuntimeError, match=r"compiling the kernels failed \(.*-Werror.*\):\na new"):
        hatch_build.compile_level("generic", tmp_path)
