"""Steps in onnxruntime say what the program says, with the same spikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from networks import NETWORKS, network, sequences
from spikescan.export import CannotExport, onnx_refusals, to_onnx
from spikescan.stream import Program, fold
from spikescan.stream.records import FIRES, Draw, Record, Synapse8

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
RANDOM = ("P-SpikeSSM-sample", "SD-TCM-random")


def stepped(program: Program, x: torch.Tensor, file: Path) -> dict[str, torch.Tensor]:
    """Values of records that fire, and the output, (S, T, D) of every step in onnxruntime."""
    made = to_onnx(program, file)
    watched = [record.name for record in program if isinstance(record, FIRES)]
    model = onnx.load(file)
    for name in watched:
        value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        model.graph.output.append(value)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    state: dict[str, Any] = {
        name: np.zeros((len(x), *shape), np.float32) for name, shape in made.state.items()
    }
    out: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in ("y", *watched)}
    names = [output.name for output in session.get_outputs()]
    for now in x.unbind(1):
        given = {"x": now.numpy(), **state}
        got = dict(zip(names, session.run(names, given), strict=True))
        state = {name: got[f"{name}.next"] for name in state}
        for name, values in out.items():
            values.append(got[name])
    return {name: torch.from_numpy(np.stack(values, 1)) for name, values in out.items()}


def kinds() -> list[tuple[str, bool]]:
    whole = [name for name in NETWORKS if name not in RANDOM]
    return [(name, False) for name in whole] + [(name, True) for name in ("PRF", "DSN")]


@pytest.mark.parametrize(("name", "int8"), kinds())
def test_steps_have_the_outputs_and_the_spikes_of_the_program(
    name: str, int8: bool, tmp_path: Path
) -> None:
    model = network(name)
    x = sequences(model, 2, 60)
    program = fold(model)
    if int8:
        program = program.quantize(x)
        assert any(isinstance(record, Synapse8) for record in program)
    got = stepped(program, x, tmp_path / "step.onnx")
    values, _ = program.trace(x)
    fired = 0
    for record in program:
        if not isinstance(record, FIRES):
            continue
        due = values[record.name]
        if isinstance(record, Draw):
            torch.testing.assert_close(got[record.name], due, rtol=1e-4, atol=1e-5)
        else:
            # Sums in another order: a membrane within rounding of its threshold may fire or not.
            assert int((got[record.name] != due).sum()) <= 1e-3 * due.numel()
        fired += int((due != 0).sum())
    assert fired
    due = values[program.records[-1].name]
    error = (got["y"] - due).abs().amax() / due.abs().amax()
    assert float(error) < 1e-2


def test_what_draws_is_refused_by_name(tmp_path: Path) -> None:
    program = fold(network(RANDOM[0]))
    drawn = [record.name for record in program if isinstance(record, Draw)]
    assert [line.partition(":")[0] for line in onnx_refusals(program)] == drawn
    with pytest.raises(CannotExport, match="evaluation='mean'"):
        to_onnx(program, tmp_path / "step.onnx")
    assert not onnx_refusals(fold(network(RANDOM[0]), evaluation="mean"))


def test_every_record_is_in_a_network_that_is_tested() -> None:
    tested = {type(record) for name in NETWORKS for record in fold(network(name))}
    assert tested | {Synapse8} == set(Record.__subclasses__())
