"""The ops inside torch's own machinery: opcheck, compile, export, autocast, double backward."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from ops_support import (
    Tensors,
    check_gradients,
    flat,
    gradients,
    leaf,
    normal,
    run_lif,
    scan_outputs,
    scan_state,
    uniform,
)
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch._inductor import config as inductor_config

from spikescan.ops import lif, linear_scan, resonate, spike
from spikescan.ops._core.cpu import BUILT
from spikescan.ops.resonate import PRFState

# Nearly all that runs here is torch's own machinery, which counting lines slows twofold.
pytestmark = [
    pytest.mark.skipif(not BUILT, reason="needs the compiled kernels"),
    pytest.mark.no_cover,
]

B, T, D = 2, 70, 5
OPS = torch.ops.spikescan


def cpu_lif(t: Tensors, lengths: Tensor | None = None) -> Tensors:
    return flat(run_lif(t, detach_reset=False, return_membrane=True, lengths=lengths))


def cpu_resonate(t: Tensors, lengths: Tensor | None = None) -> Tensors:
    state = PRFState(t["v0"], t["v0"])
    return flat(resonate(t["x"], t["beta"], 2 * t["beta"], state, lengths=lengths))


def cpu_scan(t: Tensors, lengths: Tensor | None = None) -> Tensors:
    return scan_outputs(linear_scan(t["beta"], t["x"], scan_state(t["v0"]), lengths=lengths))


def cpu_scan_per_step(t: Tensors, lengths: Tensor | None = None) -> Tensors:
    return scan_outputs(
        linear_scan(t["beta"] + 0 * t["x"], t["x"], scan_state(t["v0"]), lengths=lengths)
    )


def cpu_scan_complex(t: Tensors, lengths: Tensor | None = None) -> Tensors:
    a = torch.polar(t["beta"], 2 * t["beta"])
    out = linear_scan(a, t["x"], scan_state(t["v0"]), lengths=lengths)
    return {"h": torch.view_as_real(out.h), "last": torch.view_as_real(out.state.h)}


def cpu_spike(t: Tensors, lengths: Tensor | None = None) -> Tensors:
    return {"spikes": spike(t["x"], 0.4, lengths=lengths)}


RUNS = [cpu_lif, cpu_resonate, cpu_scan, cpu_scan_per_step, cpu_scan_complex, cpu_spike]
EACH = pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__.removeprefix("cpu_"))


def inputs(steps: int = T, dtype: torch.dtype = torch.float32) -> Tensors:
    return {
        "x": normal(B, steps, D, seed=steps, dtype=dtype, scale=0.6, shift=0.2),
        "beta": uniform(0.5, 0.95, D, seed=1, dtype=dtype),
        "v0": normal(B, D, seed=2, dtype=dtype),
    }


def outputs_and_gradients(
    run: Callable[..., Tensors], tensors: Tensors, *arguments: Any
) -> tuple[Tensors, Tensors]:
    leaves = leaf(tensors, tensors)
    outputs = run(leaves, *arguments)
    return outputs, gradients(outputs, leaves)


def check_same(
    got: tuple[Tensors, Tensors], expected: tuple[Tensors, Tensors], exact: bool = True
) -> None:
    for name, value in expected[0].items():
        if exact:
            assert torch.equal(got[0][name], value), name
    check_gradients(got[1], expected[1], ["beta"])


@pytest.fixture(autouse=True)
def fresh_compiler() -> None:
    torch._dynamo.reset()


@EACH
@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_compile_gives_the_same(run: Callable[..., Tensors], padded: bool) -> None:
    arguments = (torch.tensor([T, 30]),) if padded else ()
    compiled = torch.compile(run, backend="aot_eager", fullgraph=True)
    expected = outputs_and_gradients(run, inputs(), *arguments)
    check_same(outputs_and_gradients(compiled, inputs(), *arguments), expected)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_inductor_gives_the_same() -> None:
    def net(t: Tensors) -> Tensors:
        return cpu_lif({**t, "x": 2 * t["x"]})

    compiled = torch.compile(net, fullgraph=True)
    expected = outputs_and_gradients(net, inputs())
    # A graph kept from another version of the ops would be taken for this one's.
    with inductor_config.patch(force_disable_caches=True):
        check_same(outputs_and_gradients(compiled, inputs()), expected)


@EACH
def test_a_new_length_compiles_nothing(run: Callable[..., Tensors]) -> None:
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(run, backend=counter, fullgraph=True, dynamic=True)
    compiled(leaf(inputs(70), ["x", "beta", "v0"]))
    first = counter.frame_count
    # On both sides of a checkpoint as well.
    for steps in (70, 33, 129):
        expected = outputs_and_gradients(run, inputs(steps))
        check_same(outputs_and_gradients(compiled, inputs(steps)), expected)
    assert counter.frame_count == first


def test_compiled_lengths_out_of_range_are_clamped() -> None:
    # There is no raising for a value there, and no writing beyond the end either.
    compiled = torch.compile(cpu_lif, backend="aot_eager", fullgraph=True)
    wild = compiled(inputs(), torch.tensor([1000, -5]))
    tame = cpu_lif(inputs(), torch.tensor([T, 0]))
    assert all(torch.equal(wild[name], tame[name]) for name in tame)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, D)
        self.beta = nn.Parameter(torch.full((D,), 0.9))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        out = lif(2 * self.linear(x), self.beta, lengths=lengths)
        return out.spikes, out.state.v


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_export_with_any_length(padded: bool) -> None:
    torch.manual_seed(0)
    net = Net()
    lengths = (torch.tensor([9, 20]),) if padded else ()
    steps = torch.export.Dim("steps", min=2, max=1 << 20)
    shapes = ({1: steps}, {}) if padded else ({1: steps},)
    program = torch.export.export(net, (torch.randn(2, 20, 3), *lengths), dynamic_shapes=shapes)
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert any("spikescan.lif_forward" in name for name in names)
    for length in (20, 155):
        x = torch.randn(2, length, 3)
        got, due = program.module()(x, *lengths), net(x, *lengths)
        assert due[0].any()
        assert all(torch.equal(a, b) for a, b in zip(got, due, strict=True))


def test_autocast_feeds_the_scan_half_precision_and_keeps_its_state() -> None:
    torch.manual_seed(0)
    net, x = Net(), torch.randn(2, 90, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        current = net.linear(x)
        spikes, v = net(x)
    assert current.dtype == spikes.dtype == torch.bfloat16
    assert v.dtype == torch.float32
    due = lif(2 * current, net.beta)
    assert torch.equal(spikes, due.spikes)
    assert torch.equal(v, due.state.v)
    (spikes.float().sum() + v.sum()).backward()
    for parameter in net.parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
        assert parameter.grad.any()


def test_functional_call_gives_the_gradients_of_other_parameters() -> None:
    torch.manual_seed(0)
    net, x = Net(), torch.randn(2, 40, 3)
    other = {name: (p.detach() * 0.9).requires_grad_() for name, p in net.named_parameters()}
    spikes, v = torch.func.functional_call(net, other, (x,))
    grads = torch.autograd.grad(spikes.sum() + v.sum(), list(other.values()))
    assert all(grad.any() for grad in grads)
    due = lif(
        2 * nn.functional.linear(x, other["linear.weight"], other["linear.bias"]), other["beta"]
    )
    assert torch.equal(spikes, due.spikes)


@EACH
def test_a_second_derivative_is_refused_by_name(run: Callable[..., Tensors]) -> None:
    leaves = leaf(inputs(), ["x", "beta", "v0"])
    outputs = sum(value.square().sum() for value in run(leaves).values())
    assert isinstance(outputs, Tensor)
    (first,) = torch.autograd.grad(outputs, leaves["x"], create_graph=True)
    with pytest.raises(NotImplementedError, match=r"no second derivative.*impl='reference'"):
        first.sum().backward()


def test_the_reference_gives_the_second_derivative() -> None:
    leaves = leaf(inputs(4, dtype=torch.float64), ["x", "beta"])

    def last(x: Tensor, beta: Tensor) -> Tensor:
        return lif(x, beta, reset="none", impl="reference").state.v

    assert torch.autograd.gradgradcheck(last, (leaves["x"], leaves["beta"]))
