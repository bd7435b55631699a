"""Triton among the implementations: when it is chosen, what it asks for, torch's own machinery."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

pytest.importorskip("triton")

from ops_support import (
    Tensors,
    check_gradients,
    dsn_state,
    flat,
    gradients,
    leaf,
    normal,
    scan_outputs,
    scan_state,
    uniform,
)
from torch import Tensor
from triton_support import (
    ONE_SEGMENT,
    OPERATORS,
    SPAN,
    needs_interpreter,
    small_and_poisoned,
)

from spikescan.ops import dsn, dsn_conv, lif, linear_scan, resonate
from spikescan.ops._core import validate
from spikescan.ops._core.triton import kernels as carry_kernels
from spikescan.ops._core.triton import launch
from spikescan.ops.lif import LIFState
from spikescan.ops.resonate import PRFState

needs_interpreter()

# Not longer than a span of the interpreter's, so that fake and real results have the same shapes.
B, T, D = 1, SPAN, 2
OPS = torch.ops.spikescan


@pytest.fixture(autouse=True)
def short() -> Iterator[None]:
    with small_and_poisoned(ONE_SEGMENT):
        yield


def run_lif(t: Tensors, **options: Any) -> Tensors:
    return flat(lif(t["x"], t["beta"], LIFState(t["h0"]), detach_reset=False, **options))


def run_resonate(t: Tensors, **options: Any) -> Tensors:
    state = PRFState(t["h0"], t["h0"])
    return flat(resonate(t["x"], t["beta"], 2 * t["beta"], state, **options))


def run_scan(t: Tensors, **options: Any) -> Tensors:
    return scan_outputs(linear_scan(t["beta"], t["x"], scan_state(t["h0"]), **options))


def run_dsn(t: Tensors, **options: Any) -> Tensors:
    out = dsn(t["x"], t["beta"] + 0 * t["x"], dsn_state(t), **options)
    return {"spikes": out.spikes, "h": out.state.h}


def run_conv(t: Tensors, **options: Any) -> Tensors:
    out = dsn_conv(t["x"], t["beta"][:, None].expand(D, 2), 1.0, dsn_state(t, 2), **options)
    return {"spikes": out.spikes, "h": out.state.h}


EACH = pytest.mark.parametrize(
    "run", [run_lif, run_resonate, run_scan, run_dsn, run_conv], ids=lambda run: run.__name__[4:]
)


def inputs(steps: int = T) -> Tensors:
    return {
        "x": normal(B, steps, D, seed=steps, scale=0.6, shift=0.2),
        "beta": uniform(0.5, 0.95, D, seed=1),
        "h0": normal(B, D, seed=2),
    }


def tensor_on(device: str) -> Tensor:
    return cast(
        Tensor,
        SimpleNamespace(
            is_cuda="cuda" in device, is_cpu="cpu" in device, device=torch.device(device)
        ),
    )


def test_auto_is_triton_for_cuda_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = ("reference", "cpu", "triton")
    assert validate.choose("auto", tensor_on("cuda:1"), offered) == "triton"
    assert validate.choose("auto", tensor_on("cuda"), ("reference", "cpu")) == "reference"
    assert validate.choose("auto", tensor_on("cpu"), offered) == (
        "cpu" if validate.BUILT else "reference"
    )
    assert validate.choose("auto", tensor_on("meta"), offered) == "reference"
    monkeypatch.setattr(validate, "TRITON", False)
    assert validate.choose("auto", tensor_on("cuda"), offered) == "reference"


@EACH
def test_without_triton_it_says_how_to_install_it(
    run: Callable[..., Tensors], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate, "TRITON", False)
    with pytest.raises(
        RuntimeError, match=r"needs Triton 3.6 or later: pip install spikescan\[triton\]"
    ):
        run(inputs(), impl="triton")


@EACH
def test_a_cpu_tensor_needs_the_interpreter(
    run: Callable[..., Tensors], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "INTERPRETED", False)
    with pytest.raises(ValueError, match=r"needs tensors on a CUDA device, got device cpu.*TRITON"):
        run(inputs(), impl="triton")


def test_other_devices_are_refused() -> None:
    x = torch.zeros(B, T, D, device="meta")
    with pytest.raises(ValueError, match="needs tensors on a CUDA device, got device meta"):
        lif(x, 0.5, impl="triton")


def test_the_package_works_where_triton_is_not_installed() -> None:
    code = """
import sys
sys.modules["triton"] = None
import torch
from spikescan.ops import lif
from spikescan.ops._core import validate
assert not validate.TRITON
lif(torch.zeros(1, 2, 3), 0.5)
assert "spikescan.ops._core.triton.launch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_triton_is_not_imported_before_it_is_asked_for() -> None:
    code = "import sys, spikescan; sys.exit('triton' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def every_kernel() -> list[Any]:
    kernels = [carry_kernels.carry_kernel]
    for module in OPERATORS:
        kernels += [module.forward_kernel, module.backward_kernel]
    return kernels


def test_no_size_is_a_constant_of_the_compiled_kernel() -> None:
    # Or every length of a sequence, every stride would compile again.
    constants = {
        "RESET", "DETACH", "SURROGATE", "COMPLEX", "PER_STEP", "TAPS", "WHOLE", "REVERSE",
        "SPAN", "STEPS", "LANES",
    }  # fmt: skip
    for kernel in every_kernel():
        parameters = inspect.signature(kernel.fn).parameters
        kinds = {name: str(p.annotation) for name, p in parameters.items()}
        assert {name for name, kind in kinds.items() if "constexpr" in kind} <= constants
        sizes = {name for name, kind in kinds.items() if "int64" in kind}
        assert sizes
        assert sizes == set(kernel.kwargs["do_not_specialize"])


@EACH
def test_compile_gives_the_same(run: Callable[..., Tensors]) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(run, backend="aot_eager", fullgraph=True)
    results = []
    for function in (compiled, run):
        leaves = leaf(inputs(), ["x", "beta", "h0"])
        outputs = function(leaves, impl="triton")
        results.append((outputs, gradients(outputs, leaves)))
    (got, grads), (due, due_grads) = results
    assert all(torch.equal(got[name], value) for name, value in due.items())
    check_gradients(grads, due_grads, ["beta"])


class Net(torch.nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = lif(2 * x, 0.5, impl="triton")
        return out.spikes, out.state.v


def test_export_with_any_length() -> None:
    steps = torch.export.Dim("steps", min=2, max=1 << 20)
    program = torch.export.export(Net(), (torch.randn(B, 4, D),), dynamic_shapes=({1: steps},))
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert any("spikescan.lif_forward_triton" in name for name in names)
    x = torch.randn(B, 18, D)
    assert all(torch.equal(a, b) for a, b in zip(program.module()(x), Net()(x), strict=True))


def test_autocast_feeds_the_scan_half_precision_and_keeps_its_state() -> None:
    linear, x = torch.nn.Linear(3, D), torch.randn(B, T, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = lif(linear(x), 0.9, impl="triton")
    assert (out.spikes.dtype, out.state.v.dtype) == (torch.bfloat16, torch.float32)
    (out.spikes.float().sum() + out.state.v.sum()).backward()
    assert linear.weight.grad is not None
    assert linear.weight.grad.any()


@EACH
def test_a_second_derivative_is_refused_by_name(run: Callable[..., Tensors]) -> None:
    leaves = leaf(inputs(), ["x"])
    total = sum(value.square().sum() for value in run(leaves, impl="triton").values())
    assert isinstance(total, Tensor)
    (first,) = torch.autograd.grad(total, leaves["x"], create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivative"):
        first.sum().backward()


def operator_calls() -> list[tuple[str, tuple[Any, ...]]]:
    x, beta, h0 = inputs().values()
    lengths = torch.tensor([2])
    reset, fire, decay = (1.0, 0.0, 1, False, 0, 2.0), (1.0, 0, 2.0), (4.0, 4, 0, 2.0)
    a3, weight = beta.expand(B, T, D).contiguous(), beta[:, None].expand(D, 2).contiguous()
    levels = torch.stack((beta, -beta))
    inputs0 = h0[:, None].contiguous()
    saved = OPS.lif_forward_triton(x, beta, None, None, h0, None, *reset, True, True)[3]
    p3 = torch.stack([beta] * 3).double()
    ring = OPS.resonate_forward_triton(x, p3, None, h0, h0, None, *fire, False, True)
    points, rows = ring[4:]
    h = OPS.linear_scan_forward_triton(beta, x, h0, None, False)[0]
    given = OPS.dsn_forward_triton(x, a3, *[None] * 5, *decay, False, True)[4]
    return [
        ("lif_forward", (x, beta, None, levels, h0, None, *reset, True, True)),
        ("lif_forward", (x, None, 1 - beta, levels, h0, None, *reset, True, True)),
        ("lif_backward", (x, beta, None, levels, saved, lengths, x, None, h0, *reset, True, True)),
        ("resonate_forward", (x, p3, beta, h0, None, lengths, *fire, True, True)),
        ("resonate_backward", (x, p3, beta, rows, points, None, x, x, h0, None, *fire, True, True)),
        ("linear_scan_forward", (beta, x, h0, None, False)),
        ("linear_scan_backward", (beta, h, h0, lengths, x, h0, False, True)),
        ("dsn_forward", (x, a3, *[None] * 5, *decay, True, True)),
        ("dsn_forward", (x, None, weight, beta, h0, inputs0, lengths, *decay, False, False)),
        (
            "dsn_backward",
            (x, None, weight, beta, inputs0, given, None, x, x, h0, inputs0, *decay, False, True),
        ),
    ]


@pytest.mark.parametrize("i", range(10))
def test_opcheck(i: int) -> None:
    calls = operator_calls()
    assert len(calls) == 10
    name, arguments = calls[i]
    torch.library.opcheck(getattr(OPS, f"{name}_triton").default, arguments)
