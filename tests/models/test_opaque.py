"""Functions that compiled graphs hold as one operator: schema, fake results, gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from contract.cases import CASES
from spikescan import DPLR, S4D, neurons
from spikescan.models.blocks import gru, spiking_transformer, transformer
from spikescan.neurons import adaptive
from spikescan.ops._core.opaque import Opaque
from spikescan.ops._core.registration import Operator
from spikescan.ops.ssm import graph
from spikescan.ops.ssm.system import real
from support import draw

B, T, D, W = 2, 9, 4, 5
LENGTHS = torch.tensor([T, 3])


def wide(*shape: int, seed: int = 1) -> Tensor:
    return draw(*shape, seed=seed, dtype=torch.float64)


def of_neurons() -> dict[str, tuple[Operator, Any, Any]]:
    """What neurons as their defaults make them give their operators in a graph."""
    found: dict[str, tuple[Operator, Any, Any]] = {}

    def keep(self: Opaque, arguments: Any) -> Any:
        found[self.operator.name] = (self.operator, self.function, arguments)
        return self.function(arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Opaque, "__call__", keep)
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        for case in CASES:
            if getattr(neurons, case.name, None) is case.make:
                case.make(D).double()(wide(B, T, D), lengths=LENGTHS)
    return found


def operators() -> dict[str, tuple[Operator, Any, Any]]:
    """Each operator, the function that it is, and arguments."""
    torch.manual_seed(0)
    s4d, dplr = S4D(D, two_sided=True).system(), DPLR(D).system()
    x, lengths, steps = wide(B, T, D), LENGTHS, torch.tensor([0, 4])
    q, k, v = (wide(B, 2, T, 3, seed=i) for i in range(3))
    weights = (wide(3 * D, D), wide(3 * D, D, seed=2), wide(3 * D), wide(3 * D, seed=2))
    window = transformer._Arguments(x, wide(B, W + T, D), wide(B, W + T, D, seed=2), steps, 2)
    sums = spiking_transformer._Arguments(q, k, v, wide(B, 2, 3, 3), 4)
    carried = graph.Forward(x, wide(B, D, 16), lengths, wide(D), *real(dplr), True)
    plain = carried._replace(compiled=False)
    both = graph.Forward(x, None, None, None, *real(s4d), False)
    cells = gru._Arguments(x, wide(B, D), *weights, True)
    levels = (wide(D).abs(), wide(D))
    before = (wide(B, D), wide(B, D, seed=2).abs())
    tired = adaptive._Arguments(x, *before, lengths, *levels, 0.8, 0.9, False, 0, 2.0)
    return of_neurons() | {
        "alif": (adaptive._recorded.operator, adaptive._run, tired),
        "ssm": (graph.ssm_scan.operator, graph._run, carried),
        "ssm, torch": (graph.ssm_scan.operator, graph._run, plain),
        "ssm, two-sided": (graph.ssm_scan.operator, graph._run, both),
        "gru": (gru._gru.operator, gru._hidden, cells),
        "window attention": (transformer._attention.operator, transformer._attend, window),
        "causal sums": (spiking_transformer._attention.operator, spiking_transformer._sums, sums),
    }


@pytest.mark.parametrize("name", operators())
def test_an_operator_is_its_function_with_its_gradient(name: str) -> None:
    operator, function, arguments = operators()[name]
    plain = [v.detach() if isinstance(v, Tensor) else v for v in arguments]
    call = getattr(torch.ops.spikescan, operator.name).default
    torch.library.opcheck(call, tuple(plain), test_utils=("test_schema", "test_faketensor"))
    results = []
    for run in (operator, function):
        given = [
            v.clone().requires_grad_(v.is_floating_point()) if isinstance(v, Tensor) else v
            for v in plain
        ]
        outputs = run(type(arguments)(*given))
        outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        loss = sum((o * wide(*o.shape, seed=5)).sum() for o in outputs if o.numel())
        wanted = [v for v in given if isinstance(v, Tensor) and v.requires_grad]
        results.append([*outputs, *torch.autograd.grad(loss, wanted)])
    for got, expected in zip(*results, strict=True):
        assert torch.equal(got, expected)


def test_every_operator_of_graphs_is_tested() -> None:
    tested = {operator.name for operator, _, _ in operators().values()}
    registered = {name for name in torch.ops.spikescan if name.startswith("graph_")}
    assert registered == tested | {f"{name}_backward" for name in tested}
