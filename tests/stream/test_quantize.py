"""Weights of 8 bits: exact sums, the same bits wherever they run, answers near those of float32."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
import torch

import spikescan.ops
from networks import NETWORKS, network, sequences
from spikescan.models.walk import INPUT
from spikescan.ops._core.cpu import BUILT
from spikescan.ops._core.cpu.library import available_levels
from spikescan.ops.dsn.api import MAX_LEVELS
from spikescan.stream import Program, Stream, fold
from spikescan.stream import stream as stream_module
from spikescan.stream.records import DSN, Spatial, Synapse, Synapse8

KINDS = ("PRF", "LIF-hard", "DSN", "DSN-binary", "Spatial", "tokens")


@pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
@pytest.mark.parametrize("name", KINDS)
def test_compiled_steps_have_the_bits_of_the_program(name: str) -> None:
    model = network(name)
    x = sequences(model, 2, 97)
    program = fold(model).quantize(x)
    expected, _ = program.run(x)
    stream = Stream(program, 2)
    out = torch.cat([stream.push(part) for part in x.split((1, 33, 63), 1)], 1)
    assert torch.equal(out.view(torch.int32), expected.view(torch.int32))


@pytest.mark.parametrize("name", KINDS)
def test_sums_are_near_those_of_the_weights(name: str) -> None:
    model = network(name)
    x = sequences(model, 4, 60)
    program = fold(model)
    quantized = program.quantize(x)
    values, _ = program.trace(x)
    checked = 0
    for before, after in zip(program, quantized, strict=True):
        if not isinstance(before, Synapse):
            assert after is before
            continue
        assert isinstance(after, Synapse8)
        assert after.weight.dtype is torch.int8
        assert after.weight.amin() >= -127
        s = values[before.inputs[0]].flatten(0, -2).double()
        exact = s @ before.weight.double().T + before.bias
        off = s @ (after.scale[:, None].double() * after.weight).T + after.bias - exact
        # A weight is off by half a unit at most, evenly: so many of them add up as their root does.
        assert float(off.square().mean() / exact.var()) < 1e-3
        assert float(off.mean(0).abs().max()) < 1e-5 * float(exact.abs().max() + 1)
        checked += 1
    assert checked


@pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
@pytest.mark.parametrize("levels", [1, 3, MAX_LEVELS])
@pytest.mark.parametrize("width", [1, 20, 300, 530])
def test_long_sums_are_exact_on_every_level(
    levels: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than fit into the 16 bits that they are added up in."""
    sources = 700
    draw = torch.Generator().manual_seed(width)
    weight = torch.randint(-127, 128, (width, sources), generator=draw, dtype=torch.int8)
    weight[: width // 3], weight[width // 3 : width // 2] = 127, -127
    fires = (
        Spatial("fires", (INPUT,), sources, torch.full((sources,), 0.5))
        if levels == 1
        else DSN(
            "fires",
            (INPUT,),
            sources,
            torch.zeros(1, sources),
            torch.full((sources,), -100.0),
            torch.ones(sources),
            levels,
        )
    )
    synapse = Synapse8(
        *("sums", ("fires",), width),
        weight,
        scale=torch.linspace(0.01, 1, width),
        bias=torch.linspace(-1, 1, width),
        source="binary" if levels == 1 else "whole",
        levels=levels,
    )
    program = Program((fires, synapse), sources)
    x = torch.randint(0, levels + 1, (1, 4, sources), generator=draw).float()
    x[:, 0], x[:, 1] = levels, 0
    values, _ = program.trace(x)
    assert torch.equal(values["fires"], x)
    whole = x.double() @ weight.double().T
    expected = (whole * synapse.scale.double() + synapse.bias.double()).float()
    torch.testing.assert_close(values["sums"], expected, rtol=1e-5, atol=1e-4)
    folder = Path(spikescan.ops.__file__).parent / "_core" / "cpu" / "lib"
    for level in available_levels():
        (file,) = folder.glob(f"{level}.*")
        monkeypatch.setattr(stream_module, "library", lambda file=file: ctypes.CDLL(str(file)))
        assert torch.equal(Stream(program).push(x), values["sums"])


def test_a_program_without_weights_that_spikes_drive_is_refused() -> None:
    model = network("P-SpikeSSM-mean")
    with pytest.raises(ValueError, match=r"no weight that spikes drive.* evaluation=\"sample\"$"):
        fold(model).quantize(sequences(model, 1, 20))
    assert set(KINDS) <= set(NETWORKS)


def test_no_calibration_is_refused() -> None:
    model = network("PRF")
    for batch, steps in ((0, 4), (2, 0)):
        with pytest.raises(ValueError, match="calibration must hold at least one step, got shape"):
            fold(model).quantize(sequences(model, batch, steps))
    with pytest.raises(ValueError, match="calibration must give finite outputs, got some that"):
        fold(model).quantize(torch.full((1, 4, 3), 3e38))
