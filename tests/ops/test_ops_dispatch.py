"""Every operator inside torch's machinery: dispatch modes, opcheck, tracers, torch.func.

Operators are found in ``torch.ops.spikescan`` and public ops in ``spikescan.ops``: one that joins
is tested, or fails the test of completeness.
"""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from every_op import EVERY_OP, Arguments, arguments, parts, replaced, results
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from spikescan import DSN, LIF, PRF, S4D
from spikescan.models import SDTCM
from spikescan.ops._core import validate
from spikescan.ops._core.cpu import BUILT

# Nearly all that runs here is torch's own machinery, which counting lines slows twofold.
pytestmark = [
    pytest.mark.skipif(not BUILT, reason="needs the compiled kernels"),
    pytest.mark.no_cover,
]

SIZE = (2, 70, 5)  # on both sides of a checkpoint
EACH = pytest.mark.parametrize("op", EVERY_OP)
# Operators of Triton join when something asks for them; those of compiled graphs are called by
# nothing else. Both are tested on their own.
REGISTERED = [
    name
    for name in torch.ops.spikescan
    if not name.endswith("_triton") and not name.startswith("graph_")
]


class Recorder(TorchDispatchMode):
    """Keeps every call of one of our operators, with its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "spikescan":
            self.calls.append((func, pytree.tree_map_only(Tensor, torch.clone, args)))
        return func(*args, **(kwargs or {}))


def floating(values: Arguments) -> dict[str, Tensor]:
    return {k: v for k, v in parts(values).items() if v.is_floating_point() or v.is_complex()}


def variants(op: str) -> list[Arguments]:
    """Everything that an op can be given, and as little as it must be given."""
    full = arguments(op, *SIZE, seed=3, dtype=torch.float64)
    signature = inspect.signature(EVERY_OP[op]).parameters
    bare = {k: v for k, v in full.items() if signature[k].default is inspect.Parameter.empty}
    if "return_membrane" in signature:
        full["return_membrane"] = True
    if op != "linear_scan":
        return [full, bare]
    per_step = {**full, "a": full["a"] + 0 * full["b"]}
    return [full, bare, per_step, {**bare, "a": torch.polar(full["a"], full["a"])}]


def tracked(values: Arguments) -> Arguments:
    names = floating(values)
    return replaced(values, lambda k, v: v.clone().requires_grad_() if k in names else v)


def sum_of(op: str, values: Arguments, **options: Any) -> Tensor:
    """A number that depends on every differentiable result."""
    outputs = results(op, values, **options).values()
    sums = [v.abs().sum() if v.is_complex() else v.sum() for v in outputs if v.requires_grad]
    return functools.reduce(torch.add, sums)


def neurons_alone() -> None:
    """What neurons run of themselves: a leak in place of a decay, and steps without gradient."""
    LIF(5)(torch.rand(SIZE, requires_grad=True))[0].sum().backward()
    with torch.no_grad():
        single_steps(torch.rand(2, 5))


def single_steps(x: Tensor) -> None:
    for kind in (LIF, PRF, DSN):
        neuron = kind(5)
        _, state = neuron.step(x)
        neuron.step(x, state)


@functools.cache
def recorded() -> dict[str, list[tuple[Any, tuple[Any, ...]]]]:
    """Calls of each operator, forward and back, one for each set of absent and empty tensors."""
    with Recorder() as mode:
        for op in EVERY_OP:
            for values in variants(op):
                leaves = tracked(values)
                sum_of(op, leaves).backward()
                with torch.no_grad():
                    results(op, values)
        neurons_alone()
    found: dict[str, dict[Any, tuple[Any, tuple[Any, ...]]]] = {}
    for func, args in mode.calls:
        key = tuple(a.shape if isinstance(a, Tensor) else type(a) for a in args)
        found.setdefault(func._opname, {})[key] = (func, args)
    return {name: list(calls.values()) for name, calls in found.items()}


def test_dispatch_modes_see_every_operator() -> None:
    assert sorted(recorded()) == sorted(REGISTERED)


@pytest.mark.parametrize("name", REGISTERED)
def test_opcheck(name: str) -> None:
    for func, args in recorded()[name]:
        torch.library.opcheck(func, args)


def test_profilers_name_every_operator() -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for op in EVERY_OP:
            sum_of(op, tracked(variants(op)[0])).backward()
        neurons_alone()
    seen = {event.key for event in profile.key_averages()}
    assert {f"spikescan::{name}" for name in REGISTERED} <= seen


def of_tensors(op: str, values: Arguments) -> tuple[Callable[..., Any], list[Tensor]]:
    """The op as a function of its floating tensors alone, and those."""
    names = list(floating(values))

    def run(*tensors: Tensor, **options: Any) -> tuple[Tensor, ...]:
        given = dict(zip(names, tensors, strict=True))
        return tuple(
            results(op, replaced(values, lambda k, v: given.get(k, v)), **options).values()
        )

    return run, list(floating(values).values())


def jit_trace(run: Callable[..., Any], *tensors: Tensor) -> Callable[..., Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(run, tensors, check_trace=False)  # type: ignore[no-any-return]


@EACH
def test_tracers_record_it_and_run_it_on_other_numbers(op: str) -> None:
    for values in variants(op):
        run, tensors = of_tensors(op, values)
        again = [0.9 * t for t in tensors]
        due = run(*again)
        for record in (make_fx(run), partial(jit_trace, run)):
            got = record(*tensors)(*again)
            if op == "ssm":  # its operator adds real products where the op adds complex ones
                torch.testing.assert_close(got, due, rtol=1e-12, atol=1e-12)
            else:
                assert all(torch.equal(a, b) for a, b in zip(got, due, strict=True))


@EACH
def test_a_traced_backward_pass_gives_the_gradients_of_other_numbers(op: str) -> None:
    values = variants(op)[0]
    run, tensors = of_tensors(op, values)

    def back(*tensors: Tensor) -> tuple[Tensor, ...]:
        outputs = [v for v in run(*tensors) if v.requires_grad]
        return torch.autograd.grad(
            [v.sum() for v in outputs], tensors, allow_unused=True, materialize_grads=True
        )

    tensors = [t.clone().requires_grad_() for t in tensors]
    again = [(0.9 * t).detach().requires_grad_() for t in tensors]
    got, due = make_fx(back)(*tensors)(*again), back(*again)
    assert all(torch.equal(a, b) for a, b in zip(got, due, strict=True))


def works_or_refuses(run: Callable[[], Any], due: Callable[[], Any]) -> None:
    """It gives what it should, or names the operator and says what to use."""
    try:
        got = run()
    except NotImplementedError as error:
        assert str(error).startswith("spikescan::")  # noqa: PT017
        assert "use impl='reference'" in str(error)  # noqa: PT017
    else:
        torch.testing.assert_close(got, due(), rtol=1e-9, atol=1e-9)


@EACH
def test_func_grad_and_vmap(op: str) -> None:
    values = variants(op)[0]
    run, tensors = of_tensors(op, values)

    def loss(*tensors: Tensor, **options: Any) -> Tensor:
        outputs = run(*tensors, **options)
        return functools.reduce(torch.add, [v.abs().sum() for v in outputs])

    every = tuple(range(len(tensors)))
    leaves = [t.clone().requires_grad_() for t in tensors]
    due = torch.autograd.grad(loss(*leaves), leaves, materialize_grads=True)
    got = torch.func.grad(loss, every)(*tensors)
    for a, b in zip(got, due, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    two = [torch.stack((t, 0.9 * t)) for t in tensors]
    each = [run(*tensors), run(*(0.9 * t for t in tensors))]
    stacked = tuple(map(torch.stack, zip(*each, strict=True)))
    torch.testing.assert_close(torch.vmap(run)(*two), stacked, rtol=1e-12, atol=1e-12)
    per_sample = torch.vmap(torch.func.grad(loss, every))(*two)
    for a, b in zip(per_sample, due, strict=True):
        torch.testing.assert_close(a[0], b, rtol=1e-12, atol=1e-12)


@EACH
def test_forward_mode_works_or_is_refused_by_name(op: str) -> None:
    values = variants(op)[0]
    run, tensors = of_tensors(op, values)
    for i, tensor in enumerate(tensors):

        def forward(impl: str, many: bool, tensor: Tensor = tensor, i: int = i) -> Any:
            def one(t: Tensor) -> tuple[Tensor, ...]:
                return run(*tensors[:i], t, *tensors[i + 1 :], impl=impl)

            point = torch.stack((tensor, 0.9 * tensor)) if many else tensor
            return torch.func.jvp(torch.vmap(one) if many else one, (point,), (point,))

        for many in (False, True):
            works_or_refuses(partial(forward, "auto", many), partial(forward, "reference", many))


@EACH
def test_a_second_derivative_works_or_is_refused_by_name(op: str) -> None:
    values = variants(op)[0]
    run, tensors = of_tensors(op, values)

    def twice(**options: Any) -> tuple[Tensor | None, ...]:
        leaves = [t.clone().requires_grad_() for t in tensors]
        outputs = [v.abs().square().sum() for v in run(*leaves, **options) if v.requires_grad]
        first = torch.autograd.grad(outputs, leaves, create_graph=True, materialize_grads=True)
        total = functools.reduce(torch.add, [g.abs().sum() for g in first])
        return torch.autograd.grad(total, leaves, materialize_grads=True)

    works_or_refuses(twice, lambda: twice(impl="reference"))


def test_a_network_counts_the_operations_of_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product of spikes counts as the dense one; what is elementwise counts nothing in torch."""
    torch.manual_seed(0)
    block, x = SDTCM(16), torch.randn(2, 10, 16, requires_grad=True)
    counts = []
    for built in (True, False):
        monkeypatch.setattr(validate, "BUILT", built)
        with FlopCounterMode(display=False) as counter:
            block(x)[0].sum().backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_state_space_layers_count_the_products_of_their_chunks() -> None:
    layer, x = S4D(3, states=4), torch.randn(2, 32, 3)
    with FlopCounterMode(display=False) as counter:
        layer(x)[0].sum().backward()
    taps, states, power = 16 + 1, 4 * 4, 4 * 4 / 16
    # Its input asks for no gradient; the kernel makes it all the same.
    kernel = 3 * 2 * 32 * 3 * (taps + states + power)
    counts = counter.get_flop_counts()["Global"]
    found = sum(n for op, n in counts.items() if "ssm" in str(op))
    assert found == kernel


def test_operations_count_when_torch_s_counter_comes_last() -> None:
    """Its module is imported after all else, and the mode made before it meets our operators."""
    code = """
import sys, torch, spikescan
s, weight = torch.ones(5, 3), torch.ones(7, 3, requires_grad=True)
spikescan.ops.spike_linear(s, weight).sum().backward()
assert not {"torch.utils.flop_counter", "triton"} & {*sys.modules}
from torch.utils.flop_counter import FlopCounterMode
for _ in range(2):
    with FlopCounterMode(display=False) as counter:
        spikescan.ops.spike_linear(s, weight).sum().backward()
    print(counter.get_total_flops())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["420", "420"]
