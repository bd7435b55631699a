"""Compiled steps have the bits of the program in plain torch, in all chunks and at all levels."""

from __future__ import annotations

import ctypes
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import spikescan.ops
from networks import NETWORKS, network, sequences
from spikescan.export import nir_refusals, onnx_refusals, to_c, to_nir, to_onnx
from spikescan.models import SDTCM, Classifier
from spikescan.ops._core.cpu import BUILT, available_levels
from spikescan.stream import Program, Stream, encode, fold
from spikescan.stream import stream as module
from spikescan.stream.records import SMALL, Record
from support import draw

pytestmark = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
by_name = pytest.mark.parametrize("name", NETWORKS)
CHUNKS = {"whole": (97,), "steps": (1,) * 97, "pieces": (1, 0, 33, 2, 61)}


def keys_of(program: Program, batch: int) -> Tensor:
    return torch.arange(batch * program.random_keys).view(batch, -1) - 1


def same_bits(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.view(torch.int32), b.view(torch.int32))


@by_name
def test_every_chunking_has_the_bits_of_the_program(name: str) -> None:
    model = network(name)
    program, x = fold(model), sequences(model, 2, 97)
    keys = keys_of(program, 2)
    expected, last = program.run(x, keys=keys)
    for chunks in CHUNKS.values():
        stream = Stream(program, 2, keys=keys)
        out = torch.cat([stream.push(part) for part in x.split(chunks, 1)], 1)
        assert same_bits(out, expected)
        state = stream.program_state()
        assert state.rows.keys() == last.rows.keys()
        assert all(same_bits(state.rows[name], last.rows[name]) for name in last.rows)
        assert torch.equal(state.clock, last.clock)


@by_name
def test_every_level_has_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(name)
    program, x = fold(model), sequences(model, 1, 97)
    keys = keys_of(program, 1)
    expected = Stream(program, keys=keys).push(x)
    folder = Path(spikescan.ops.__file__).parent / "_core" / "cpu" / "lib"
    for level in available_levels()[:-1]:
        (file,) = folder.glob(f"{level}.*")
        monkeypatch.setattr(module, "library", lambda file=file: ctypes.CDLL(str(file)))
        assert same_bits(Stream(program, keys=keys).push(x), expected)


def test_streams_are_independent_and_have_their_own_clocks() -> None:
    torch.set_num_threads(2)
    model = network("PRF")
    program, x = fold(model), sequences(model, 5, 80)
    together = Stream(program, 5)
    lengths = torch.tensor([80, 0, 3, 33, 64])
    out = together.push(x, lengths)
    assert together.clock.tolist() == lengths.tolist()
    for i, length in enumerate(lengths.tolist()):
        alone = Stream(program)
        assert same_bits(out[i, :length], alone.push(x[i, :length]))
        assert not out[i, length:].any()
    together.reset(3)
    assert together.clock.tolist() == [80, 0, 3, 0, 64]
    again = together.push(x[:, :33], torch.tensor([0, 0, 0, 33, 0]))
    assert same_bits(again[3], out[3, :33])
    together.reset()
    assert same_bits(together.push(x, lengths), out)


@by_name
def test_a_state_goes_into_another_stream_and_into_the_program(name: str) -> None:
    model = network(name)
    program, x = fold(model), sequences(model, 2, 50)
    one = Stream(program, 2, keys=keys_of(program, 2))
    one.push(x[:, :20])
    state, kept = one.state(), one.program_state()
    expected = one.push(x[:, 20:])
    other = Stream(program, 2)
    other.load_state(state)
    assert same_bits(other.push(x[:, 20:]), expected)
    assert same_bits(program.run(x[:, 20:], kept)[0], expected)


def test_counts_are_those_of_the_spikes() -> None:
    for name in ("PRF", "DSN"):
        model = network(name)
        program, x = fold(model), sequences(model, 2, 50)
        values, _ = program.trace(x)
        stream = Stream(program, 2)
        stream.push(x)
        counts = stream.counts()
        assert counts
        for record in program:
            if record.name in counts:
                s = values[record.inputs[0]]
                assert counts[record.name].fired.tolist() == s.count_nonzero((1, 2)).tolist()
                assert counts[record.name].total.tolist() == s.sum((1, 2)).long().tolist()


@pytest.mark.parametrize("reader", [Stream, to_c, to_nir, to_onnx, nir_refusals, onnx_refusals])
def test_a_network_in_place_of_its_program_is_told(
    reader: Callable[..., object], tmp_path: Path
) -> None:
    places = (tmp_path / "made",) if reader in (to_c, to_nir, to_onnx) else ()
    with pytest.raises(TypeError, match=r"program must be a Program, which spikescan\.fold makes"):
        reader(network("PRF"), *places)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_moves_no_stream() -> None:
    program = fold(network("PRF"))
    stream = Stream(program, 2)
    stream.push(draw(2, 10, 3))
    before = stream.state()
    bad = draw(2, 10, 3)
    bad[1, 4, 2] = torch.inf
    with pytest.raises(ValueError, match=r"^x must be finite, got \[.*inf\] at step 4 of stream 1"):
        stream.push(bad)
    with pytest.raises(ValueError, match=r"x must be real input \(2, T, 3\) on the CPU, got"):
        stream.push(draw(2, 10, 4))
    with pytest.raises(ValueError, match=r"lengths must lie in 0..T = 10, got 3..11"):
        stream.push(draw(2, 10, 3), torch.tensor([3, 11]))
    assert all(torch.equal(value, before[name]) for name, value in stream.state().items())
    for wrong, words in (
        (([[1.0, 2.0, 3.0]],), "x must be a tensor, got a list"),
        ((draw(2, 10, 3), [3, 4]), "lengths must be a tensor, got a list"),
    ):
        with pytest.raises(TypeError, match=words):
            stream.push(*wrong)  # type: ignore[arg-type]
    tokens = Stream(fold(network("tokens")))
    with pytest.raises(ValueError, match=r"a known token, got 11 at step 1 of stream 0"):
        tokens.push(torch.tensor([3, 11]))
    broken = next(name for name in before if name.endswith(".state"))
    for wrong, words in (
        ({}, "not in both: backbone"),
        (before | {"clock": torch.ones(2)}, "clock"),
        (before | {"clock": torch.tensor([4, -1])}, r"clock must be at least 0, got \[4, -1\]"),
        (before | {broken: before[broken] / 0}, f"state {broken} must be finite"),
    ):
        with pytest.raises(ValueError, match=words):
            stream.load_state(wrong)
    with pytest.raises(ValueError, match="streams must be a whole number of at least 1, got 0"):
        Stream(program, 0)
    with pytest.raises(ValueError, match=r"at least 1, got 2\.5"):
        Stream(program, 2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"stream must be within 0 \.\. 1, got 2"):
        stream.reset(2)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def run_long(steps: int) -> None:
    torch.manual_seed(0)
    stream = Stream(fold(Classifier(SDTCM, features=16, depth=1).eval()))
    x = draw(1000, 1)
    for _ in range(5):
        stream.push(x)
    before, took = resident(), []
    for _ in range(steps // 1000):
        began = time.thread_time()
        out = stream.push(x)
        took.append(time.thread_time() - began)
    assert resident() - before <= 1 << 20
    tenth = len(took) // 10
    assert statistics.median(took[-tenth:]) < 1.5 * statistics.median(took[:tenth])
    assert bool(out.isfinite().all())
    assert stream.clock.item() == 5000 + steps


needs_statm = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")


@needs_statm
def test_memory_is_flat_over_a_hundred_thousand_steps() -> None:
    run_long(100_000)


@needs_statm
@pytest.mark.slow
def test_memory_is_flat_over_a_million_steps() -> None:
    run_long(1_000_000)


@pytest.mark.parametrize("name", ["PRF", "LIF-none", "DSN"])
def test_quiet_input_leaves_no_subnormal_state(name: str) -> None:
    model = network(name)
    stream = Stream(fold(model))
    x = sequences(model, 1, 600)
    x[:, 10:] *= 1e-30
    x[:, 300:] = 0
    stream.push(x)
    for state in stream.program_state().rows.values():
        assert bool(((state == 0) | (state.abs() >= SMALL)).all())


def test_the_arrays_are_those_of_the_c_source() -> None:
    folder = Path(spikescan.ops.__file__).parent / "event"
    source = "".join(path.read_text() for path in sorted(folder.glob("*.h")))
    (struct,) = re.findall(r"typedef struct \{((?:(?!typedef).)*?)\} step_record;", source, re.S)
    struct = re.sub(r"/\*.*?\*/", "", struct, flags=re.S)
    assert re.findall(r"\w+", struct.replace("int32_t", "")) == list(encode.FIELDS)

    def listed(first: str) -> list[str]:
        (names,) = re.findall(rf"enum \{{\s*({first}\b[^}}]*)\}}", source)
        return re.findall(r"\w+", names)

    assert [name.replace("_", "").lower() for name in listed("DENSE")] == [
        kind.__name__.lower() for kind in encode.OPERATIONS
    ]
    assert listed("NO_RESET") == ["NO_RESET", "SOFT_RESET", "HARD_RESET"]
    assert encode.RESETS == ("none", "soft", "hard")
    assert [name.removesuffix("_SOURCE").lower() for name in listed("BINARY")] == [*encode.SOURCES]
    assert f"enum {{ PADDED = {encode.PADDED}, BYTES = {encode.BYTES} }};" in source
    assert SMALL == 2.0**-100
    assert "0x1p-100f" in source
    # Every record is an operation, and so in a network of these tests.
    assert set(encode.OPERATIONS) == set(Record.__subclasses__())
