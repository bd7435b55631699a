"""NIR graphs say what the program says, or are refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from networks import network
from spikescan import LIF, PRF, Spatial
from spikescan.export import CannotExport, nir_refusals, to_nir
from spikescan.models import SDTCM, Backbone, LastHead, MeanHead, Network, StepHead
from spikescan.models.walk import INPUT
from spikescan.stream import Program, fold
from spikescan.stream.records import LIF as HardLIF
from spikescan.stream.records import Dense, Record, Synapse
from spikescan.stream.records import Spatial as Threshold
from support import draw, give_statistics

nir = pytest.importorskip("nir")
NEURONS = {
    "hard": partial(LIF, tau=5.0, reset="hard", v_reset=-0.1, threshold=0.5),
    "none": partial(LIF, tau=9.0, reset="none"),
    "threshold": Spatial,
}


def made(neuron: object, head: type = LastHead) -> Program:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        backbone = Backbone(partial(SDTCM, neuron=neuron), inputs=3, features=12)  # type: ignore[arg-type]
        model = Network(backbone, head(12, 4))
        give_statistics(model)
    return fold(model.eval())


def simulate(graph: Any, x: np.ndarray, dt: float) -> np.ndarray:
    """NIR's equations in double precision, Euler's way."""
    membranes: dict[str, np.ndarray] = {}
    out = []
    for now in x.astype(np.float64):
        values: dict[str, np.ndarray] = {"input": now}

        def value(name: str, values: dict[str, np.ndarray] = values) -> np.ndarray:
            if name not in values:
                given = sum(value(a) for a, b in graph.edges if b == name)
                values[name] = node_output(name, np.asarray(given))
            return values[name]

        def node_output(name: str, given: np.ndarray) -> np.ndarray:
            node = graph.nodes[name]
            match type(node).__name__:
                case "Affine":
                    return node.weight.astype(np.float64) @ given + node.bias
                case "Threshold":
                    return (given > node.threshold).astype(np.float64)
                case "LI" | "LIF":
                    v = membranes.get(name, np.zeros(node.tau.shape))
                    v = v + dt / node.tau.astype(np.float64) * (node.v_leak - v + node.r * given)
                    fired = v > node.v_threshold if isinstance(node, nir.LIF) else None
                    membranes[name] = v if fired is None else np.where(fired, node.v_reset, v)
                    return v if fired is None else fired.astype(np.float64)
                case "Output":
                    return given
                case other:
                    raise AssertionError(other)

        out.append(value("output"))
    return np.stack(out)


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("head", [LastHead, StepHead])
def test_a_graph_that_is_written_and_read_says_the_same(
    name: str, head: type, tmp_path: Path
) -> None:
    program, x = made(NEURONS[name], head), draw(1, 50, 3)
    to_nir(program, tmp_path / "net.nir", dt=1e-3)
    graph = nir.read(tmp_path / "net.nir")
    expected = program.run(x)[0][0].numpy()
    assert np.unique(expected, axis=0).shape[0] > 5
    # A spike that differs moves an output by a weight, which is larger by far.
    np.testing.assert_allclose(simulate(graph, x[0].numpy(), 1e-3), expected, atol=1e-4)


def test_snntorch_reads_a_graph_and_fires_the_same(tmp_path: Path) -> None:
    pytest.importorskip("nirtorch")
    reader = pytest.importorskip("snntorch.import_nir")
    weights = (draw(16, 3), draw(16), draw(12, 16), draw(12))

    def neurons(name: str, source: str, width: int) -> Record:
        beta, threshold = torch.full((width,), 0.8), torch.full((width,), 0.5)
        return HardLIF(name, (source,), width, beta, threshold, torch.zeros(width), "hard")

    program = Program(
        (
            Dense("encoder", (INPUT,), 16, *weights[:2]),
            neurons("one", "encoder", 16),
            Synapse("synapse", ("one",), 12, 0.3 * weights[2], 0.1 * weights[3], "binary"),
            neurons("two", "synapse", 12),
        ),
        inputs=3,
    )
    to_nir(program, tmp_path / "net.nir")
    network, state = reader.import_from_nir(nir.read(tmp_path / "net.nir")), None
    x, out = draw(1, 200, 3), []
    for now in x.unbind(1):
        spikes, state = network(now, state)
        out.append(spikes.detach())
    due = program.run(x)[0][0]
    assert 100 < due.sum() < 2000
    assert torch.equal(torch.cat(out), due)


def test_a_mean_over_the_steps_is_left_to_the_reader(tmp_path: Path) -> None:
    program, x = made(NEURONS["hard"], MeanHead), draw(1, 50, 3)
    (refused,) = nir_refusals(program)
    assert refused.startswith("head.mean: NIR has no mean")
    graph = to_nir(program, tmp_path / "net.nir", mean_outside=True)
    steps = simulate(graph, x[0].numpy(), 1e-4)
    mean = steps.cumsum(0) / np.arange(1, 51)[:, None]
    np.testing.assert_allclose(mean, program.run(x)[0][0].numpy(), atol=1e-4)


VALUES = np.array([0.1, 0.7], np.float32)


def test_a_membrane_at_its_threshold_fires(tmp_path: Path) -> None:
    program = Program((Threshold("s", (INPUT,), 2, threshold=torch.tensor([0.1, 0.7])),), inputs=2)
    graph = to_nir(program, tmp_path / "net.nir")
    below = np.nextafter(VALUES, np.float32(0))
    x = np.stack((VALUES, below))
    assert simulate(graph, x, 1e-4).tolist() == [[1, 1], [0, 0]]
    assert program.run(torch.from_numpy(x)[None])[0][0].tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize("name", ["PRF", "LIF-prenorm", "ALIF-readout", "DSN", "DSN-binary",
                                  "P-SpikeSSM-sample", "tokens"])  # fmt: skip
def test_what_nir_cannot_express_is_listed_and_refused(name: str, tmp_path: Path) -> None:
    program = fold(network(name))
    refused = nir_refusals(program)
    neurons = {line.partition(":")[0] for line in refused}
    assert neurons <= {record.name for record in program}
    with pytest.raises(CannotExport) as caught:
        to_nir(program, tmp_path / "net.nir")
    assert str(caught.value) == "; ".join(refused)
    assert not (tmp_path / "net.nir").exists()


def test_every_record_is_expressed_or_has_a_reason() -> None:
    from spikescan.export import nir as module

    expressed = {"Dense", "Synapse", "Affine", "Residual", "Spatial", "LIF"}
    reasons = {kind.__name__ for kind in module._REASONS}
    assert {kind.__name__ for kind in Record.__subclasses__()} == expressed | reasons
    assert not expressed & reasons
    (soft,) = {line.partition(": ")[2] for line in nir_refusals(made(partial(LIF, reset="soft")))}
    assert soft == "NIR has no soft reset, and a neuron with a hard one is another"
    assert nir_refusals(made(PRF))
