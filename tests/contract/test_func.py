"""Every neuron and block under torch.func: its gradients, and forward mode or a clear refusal."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import CASES, Case
from torch import Tensor
from torch.func import functional_call, grad, jvp

FIXED = [case for case in CASES if not case.random]
EACH = pytest.mark.parametrize("case", FIXED, ids=lambda case: case.name)


def build(case: Case) -> tuple[Any, Tensor, dict[str, Tensor]]:
    torch.manual_seed(0)
    module = case.make(6).eval()
    x = torch.randn(2, 37, 6) + 0.5  # PSN is tied to that length
    return module, x, {name: p.detach() for name, p in module.named_parameters()}


@EACH
def test_gradients_are_those_of_autograd(case: Case) -> None:
    module, x, parameters = build(case)

    def loss(x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return functional_call(module, parameters, (x,))[0].square().sum()

    leaf = x.clone().requires_grad_()
    due = torch.autograd.grad(
        module(leaf)[0].square().sum(), [leaf, *module.parameters()], materialize_grads=True
    )
    gx, gp = grad(loss, (0, 1))(x, parameters)
    for got, expected in zip((gx, *gp.values()), due, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@EACH
def test_forward_mode_agrees_with_the_gradient_or_is_refused(case: Case) -> None:
    module, x, _ = build(case)
    leaf, along = x.clone().requires_grad_(), torch.randn_like(x)
    out = module(leaf)[0]
    weight = torch.randn_like(out)
    (gx,) = torch.autograd.grad(out, leaf, weight)
    try:
        _, tangent = jvp(lambda x: module(x)[0], (x,), (along,))
    except NotImplementedError as error:
        assert "use impl='reference'" in str(error)  # noqa: PT017
    else:
        due = (gx * along).sum()
        torch.testing.assert_close((weight * tangent).sum(), due, rtol=1e-3, atol=1e-3)
