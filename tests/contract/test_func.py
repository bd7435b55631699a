"""Every neuron and block under torch.func: its gradients, and forward mode or a clear refusal."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from cases import CASES, SO_FAR, Case
from torch import Tensor
from torch.func import functional_call, grad, jvp, stack_module_state, vmap
from torch.testing import assert_close

# Nearly all that runs here is torch's own machinery, which counting lines slows twofold.
pytestmark = pytest.mark.no_cover
FIXED = [case for case in (*CASES, *SO_FAR) if not case.random]
RANDOM = [case for case in (*CASES, *SO_FAR) if case.random]
EACH = pytest.mark.parametrize("case", FIXED, ids=lambda case: case.name)
EACH_RANDOM = pytest.mark.parametrize("case", RANDOM, ids=lambda case: case.name)


def build(case: Case) -> tuple[Any, Tensor, dict[str, Tensor]]:
    torch.manual_seed(0)
    module = case.make(6).eval()
    x = torch.randn(2, 37, 6) + 0.5
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
        assert_close(got, expected, rtol=1e-5, atol=1e-5)


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
        assert_close((weight * tangent).sum(), due, rtol=1e-3, atol=1e-3)


@EACH
def test_vmap_gives_each_item_what_it_gives_alone(case: Case) -> None:
    module, x, _ = build(case)
    two = torch.stack((x, 0.5 * x - 0.2))
    try:
        got = vmap(lambda one: module(one)[0])(two)
    except RuntimeError as error:
        # torch's own layer refuses.
        assert "Batching rule not implemented for aten::gru" in str(error)  # noqa: PT017
        return
    assert torch.equal(got, torch.stack([module(one)[0] for one in two]))


@EACH
def test_stacked_modules_are_each_their_own(case: Case) -> None:
    """An ensemble in one call, as torch.func.stack_module_state makes it, and its gradients."""
    base, x, _ = build(case)
    if not any(True for _ in base.parameters()):
        pytest.skip("has nothing to train")
    modules = [base, copy.deepcopy(base)]
    with torch.no_grad():
        for p in modules[1].parameters():
            p.mul_(0.9)
    parameters, buffers = stack_module_state(modules)

    def loss(p: dict[str, Tensor], b: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        out = functional_call(base, (p, b), (x,))[0]
        return out.square().sum(), out

    got, out = vmap(grad(loss, has_aux=True))(parameters, buffers)
    for i, module in enumerate(modules):
        due = module(x)[0]
        assert_close(out[i], due, rtol=1e-5, atol=1e-5)
        wanted = list(module.parameters())
        found = torch.autograd.grad(due.square().sum(), wanted, materialize_grads=True)
        for stacked, expected in zip(got.values(), found, strict=True):
            assert_close(stacked[i], expected, rtol=1e-5, atol=1e-5)


@EACH_RANDOM
def test_vmap_draws_as_it_is_told(case: Case) -> None:
    module, x, _ = build(case)

    def run(randomness: str) -> Tensor:
        return vmap(lambda one: module(one)[0], randomness=randomness)(torch.stack((x, x)))

    with pytest.raises(RuntimeError, match="randomness error mode"):
        run("error")
    assert torch.equal(*run("same"))
    assert not torch.equal(*run("different"))
