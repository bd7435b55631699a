"""Exported C, compiled, has the bits of the program, and needs nothing."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from networks import NETWORKS, network, sequences
from spikescan.export import to_c
from spikescan.stream import Program, fold
from spikescan.stream.records import Draw, Synapse, Synapse8

CC = shutil.which(os.environ.get("CC", "cc"))
needs_compiler = pytest.mark.skipif(CC is None or os.name == "nt", reason="needs a C compiler")
FLAGS = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
QUANTIZED = ("PRF", "DSN")
"""Their sources are binary, and whole numbers."""


def program_of(name: str) -> Program:
    """The folded network of a name, quantised where it ends in -int8."""
    model = network(name.removesuffix("-int8"))
    program = fold(model)
    return (
        program
        if model is None or "-int8" not in name
        else program.quantize(sequences(model, 2, 40))
    )


def vector(name: str, steps: int = 40) -> torch.Tensor:
    return sequences(network(name.removesuffix("-int8")), 1, steps)[0]


def compiled(folder: Path, *more: str) -> Path:
    binary = folder / "net"
    assert CC is not None
    sources = (str(folder / "net.c"), str(folder / "main.c"))
    subprocess.run([CC, *FLAGS, *more, *sources, "-o", str(binary)], check=True)
    return binary


@needs_compiler
@pytest.mark.parametrize("name", [*NETWORKS, *(f"{name}-int8" for name in QUANTIZED)])
def test_compiled_outputs_are_those_of_the_program(name: str, tmp_path: Path) -> None:
    program, x = program_of(name), vector(name)
    drawn = sum(isinstance(r, Draw) and r.evaluation == "sample" for r in program)
    keys = torch.arange(drawn) - 1
    to_c(program, tmp_path, name="net", vector=x, keys=keys)
    binary = compiled(tmp_path)
    said = subprocess.run([binary], check=True, capture_output=True, text=True).stdout
    assert said == "all 40 steps of the test vector are right, bit for bit\n"
    # From a file, on other numbers than those compiled in, by what it prints.
    tokens = program.vocabulary is not None
    other = x.flip(0)
    np.savetxt(tmp_path / "x.csv", other, fmt="%d" if tokens else "%.9g", delimiter=",")
    out = subprocess.run([binary, tmp_path / "x.csv"], check=True, capture_output=True, text=True)
    got = np.loadtxt(io.StringIO(out.stdout), delimiter=",", dtype=np.float32, ndmin=2)
    expected = program.run(other[None], keys=keys[None])[0][0].numpy()
    assert np.array_equal(got.view(np.int32), expected.view(np.int32))
    assert len(np.unique(got, axis=0)) > 1
    quantised = "-int8" in name
    assert any(isinstance(r, Synapse8) for r in program) == quantised


@needs_compiler
def test_a_wrong_output_is_noticed(tmp_path: Path) -> None:
    to_c(program_of("PRF"), tmp_path, name="net", vector=vector("PRF"))
    text = (tmp_path / "test_vector.h").read_text()
    (tmp_path / "test_vector.h").write_text(
        text.replace("test_out[] = {\n    ", "test_out[] = {\n    1e-3f+")
    )
    said = subprocess.run([compiled(tmp_path)], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (1, "step 0: the output differs\n")


LINES = [
    ("1,2,3\n1,nan,3\n", "line 2: the input must be finite"),
    ("1,2,3\n4 5", "line 2: expected 3 numbers, got 2"),
    ("1 2\n3\n4 5 6\n", "line 1: expected 3 numbers, got 2"),
    ("1 2 3\n1 2 3 4 5 6\n", "line 2: expected 3 numbers, got 6"),
    ("1 2 3\n\n1 2 3\n", "line 2: expected 3 numbers, got 0"),
    ("a,b,c\n", "line 1: expected 3 numbers, number 1 cannot be read"),
    ("1,2x,3\n", "line 1: expected 3 numbers, number 2 cannot be read"),
    ("1 2-3\n", "line 1: expected 3 numbers, number 2 cannot be read"),
    ("1,,3\n", "line 1: expected 3 numbers, number 2 cannot be read"),
    ("1,2,3,\n4,5,6\n", "line 1: expected 3 numbers, number 4 cannot be read"),
    ("1,2,3\r\n4 , 5\t6 \r\n\r\n", ""),
    ("1 2" + 70_000 * " " + "3\n 4 5 6", ""),
    (50_000 * "1 " + "\n", "line 1: expected 3 numbers, got 50000"),
]  # fmt: skip


@needs_compiler
def test_a_step_is_a_line(tmp_path: Path) -> None:
    to_c(program_of("PRF"), tmp_path, name="net")
    binary = compiled(tmp_path)
    for text, words in LINES:
        said = subprocess.run(
            [binary, "-"], input=text, capture_output=True, text=True, check=False
        )
        expected = (1, words + "\n") if words else (0, "")
        assert (said.returncode, said.stderr) == expected, text[:40]
        assert words or said.stdout.count("\n") == 2, text[:40]
    # A folder opens as a file does, and gives nothing.
    said = subprocess.run([binary, tmp_path], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (1, "")
    assert "cannot" in said.stderr


@needs_compiler
def test_the_network_needs_no_library_and_other_operations_are_left_out(tmp_path: Path) -> None:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("needs nm")
    written = to_c(program_of("PRF"), tmp_path, name="net")
    assert CC is not None
    flags = ("-std=c99", "-O2", "-ffreestanding", "-Werror", "-c")
    subprocess.run([CC, *flags, str(tmp_path / "net.c"), "-o", str(tmp_path / "net.o")], check=True)
    words = subprocess.run(
        [nm, tmp_path / "net.o"], check=True, capture_output=True, text=True
    ).stdout
    symbols = [line.split()[-2:] for line in words.splitlines()]
    # A compiler may call these four of its own accord, and every one brings them.
    outside = {name for kind, name in symbols if kind == "U"}
    assert outside <= {"memcpy", "memset", "memmove", "memcmp", "_GLOBAL_OFFSET_TABLE_"}
    assert not any("dsn" in name or "low_rank" in name for _, name in symbols)
    binary = compiled(tmp_path)
    sized = subprocess.run([nm, "-S", binary], check=True, capture_output=True, text=True).stdout
    (size,) = (line.split()[1] for line in sized.splitlines() if line.endswith(" state"))
    assert int(size, 16) == written.stream


# A dialect in which gcc would round products and sums together, were it not told.
CORTEX_M4 = ("-std=gnu99", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
STARTUP = """
#include <stdint.h>
extern int _start(void);
static void reset(void) {
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* the floating-point unit */
    __asm volatile("dsb; isb");
    _start();
}
__attribute__((section(".vectors"), used)) static const uintptr_t vectors[] = {
    0x20010000, (uintptr_t)reset};
"""


@pytest.mark.parametrize("name", ["PRF-int8", "DSN"])
def test_a_cortex_m4_has_the_bits(name: str, tmp_path: Path) -> None:
    cc, qemu = shutil.which("arm-none-eabi-gcc"), shutil.which("qemu-system-arm")
    if cc is None or qemu is None:
        pytest.skip("needs gcc-arm-none-eabi with newlib, and qemu-system-arm")
    to_c(program_of(name), tmp_path, name="net", vector=vector(name, 10))
    (tmp_path / "startup.c").write_text(STARTUP)
    sources = [str(tmp_path / file) for file in ("net.c", "main.c", "startup.c")]
    link = ("--specs=rdimon.specs", "-Wl,--section-start=.vectors=0")
    binary = str(tmp_path / "net.elf")
    subprocess.run([cc, *FLAGS, *CORTEX_M4, *link, *sources, "-o", binary], check=True)
    machine = ("-M", "mps2-an386", "-nographic", "-semihosting", "-kernel", binary)
    said = subprocess.run([qemu, *machine], check=True, capture_output=True, text=True, timeout=60)
    assert said.stdout.startswith("all 10 steps of the test vector are right")


def test_an_arm64_has_the_bits(tmp_path: Path) -> None:
    cc, qemu = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if cc is None or qemu is None:
        pytest.skip("needs gcc-aarch64-linux-gnu and qemu-user")
    to_c(program_of("PRF"), tmp_path, name="net", vector=vector("PRF"))
    sources = [str(tmp_path / file) for file in ("net.c", "main.c")]
    binary = str(tmp_path / "net")
    subprocess.run([cc, *FLAGS, "-static", *sources, "-o", binary], check=True)
    said = subprocess.run([qemu, binary], check=True, capture_output=True, text=True, timeout=60)
    assert said.stdout.startswith("all 40 steps of the test vector are right")


def test_weights_are_in_rows_without_padding(tmp_path: Path) -> None:
    program = program_of("PRF-int8")
    to_c(program, tmp_path, name="net")
    text = (tmp_path / "net.c").read_text()
    listed = text.partition("bytes[] = {")[2].partition("}")[0].split(",")
    assert len(listed) == sum(r.weight.numel() for r in program if isinstance(r, Synapse8))
    assert not any(isinstance(r, Synapse) and r.source != "real" for r in program)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    program = program_of("PRF")
    for wrong, words in (("9lives", "C identifier"), ("a b", "C identifier"), ("main", "another")):
        with pytest.raises(ValueError, match=words):
            to_c(program, tmp_path / "none", name=wrong)
    with pytest.raises(ValueError, match=r"must be real input \(B, T, 3\)"):
        to_c(program, tmp_path / "none", vector=torch.zeros(5, 4))
    with pytest.raises(ValueError, match="at least one step"):
        to_c(program, tmp_path / "none", vector=torch.zeros(0, 3))
    with pytest.raises(ValueError, match="vector must give finite outputs"):
        to_c(program, tmp_path / "none", vector=torch.full((3, 3), 3e38))
    assert not (tmp_path / "none").exists()
