"""Weights of 8 bits: exact sums, the same bits wherever they run, answers near those of float32."""

from __future__ import annotations

import pytest
import torch

from networks import NETWORKS, network, sequences
from spikescan.ops._core.cpu import BUILT
from spikescan.stream import Stream, fold
from spikescan.stream.records import Synapse, Synapse8

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


def test_long_sums_of_whole_numbers_are_exact() -> None:
    """More than fit into the 16 bits that they are added up in."""
    model = network("LIF-hard")
    x = sequences(model, 1, 8)
    program = fold(model)
    quantized = program.quantize(x)
    record = next(r for r in quantized if isinstance(r, Synapse8))
    assert isinstance(record, Synapse8)
    record.weight.fill_(127)
    for neuron in quantized:
        if hasattr(neuron, "threshold"):
            neuron.threshold.fill_(-1e9)
    expected, _ = quantized.run(x)
    assert torch.equal(Stream(quantized).push(x[0]), expected[0])


def test_real_messages_and_dense_products_stay() -> None:
    for name in ("P-SpikeSSM-mean",):
        model = network(name)
        program = fold(model)
        assert list(program.quantize(sequences(model, 1, 20))) == list(program)
    assert set(KINDS) <= set(NETWORKS)


def test_no_calibration_is_refused() -> None:
    model = network("PRF")
    for batch, steps in ((0, 4), (2, 0)):
        with pytest.raises(ValueError, match="calibration must hold at least one step, got shape"):
            fold(model).quantize(sequences(model, batch, steps))
