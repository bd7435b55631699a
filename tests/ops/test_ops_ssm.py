"""State-space models: sizes of the kernel, and start values against their closed forms."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

import support
from spikescan import DPLR, S4D
from spikescan.ops._core.cpu import BUILT
from spikescan.ops.ssm import legs, legs_modes, linear_modes, ssm
from tolerance import SUMMED, assert_close

draw = partial(support.draw, dtype=torch.float64)


@pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
@pytest.mark.parametrize("make", [S4D, DPLR])
@pytest.mark.parametrize("states", [2, 26, 50])
def test_numbers_of_states_with_chunks_of_their_own(make: type[S4D | DPLR], states: int) -> None:
    torch.manual_seed(0)
    system = make(19, states=states).system()
    x, h0 = draw(2, 70, 19).requires_grad_(), draw(2, 19, states, seed=2).requires_grad_()
    found = []
    for impl in ("cpu", "reference"):
        out = ssm(x, system, h0, impl=impl)  # type: ignore[arg-type]
        loss = (out.y * draw(2, 70, 19, seed=3)).sum() + out.h.sum()  # type: ignore[union-attr]
        leaves = [v for v in system if v is not None]
        found.append([*out, *torch.autograd.grad(loss, [x, h0, *leaves], retain_graph=True)])
    for got, expected in zip(*found, strict=True):
        assert_close(got, expected, SUMMED)


def test_legs_is_its_closed_form() -> None:
    a, b = legs(5)
    for n in range(5):
        assert b[n] == pytest.approx(math.sqrt(2 * n + 1))
        for k in range(5):
            due = -math.sqrt((2 * n + 1) * (2 * k + 1)) if n > k else -(n + 1.0) * (n == k)
            assert a[n, k] == pytest.approx(due)


@pytest.mark.parametrize("states", [2, 16, 64])
def test_modes_make_up_legs(states: int) -> None:
    a, b = legs(states)
    modes = legs_modes(states)
    p = 2 * (modes.v @ modes.p).real
    made = 2 * ((modes.v * modes.lam) @ modes.v.conj().T).real - torch.outer(p, p)
    assert torch.allclose(made, a, rtol=1e-12, atol=1e-12 * states**2)
    assert torch.allclose(2 * (modes.v @ modes.b).real, b, rtol=1e-12, atol=1e-12 * states)
    assert torch.allclose(p, (torch.arange(states).double() + 0.5).sqrt(), atol=1e-12 * states)
    assert bool((modes.lam.real == -0.5).all())
    assert bool((modes.lam.imag > 0).all())
    assert torch.allclose(
        modes.v.conj().T @ modes.v, torch.eye(states // 2, dtype=modes.v.dtype), atol=1e-12
    )


def test_linear_modes() -> None:
    assert torch.allclose(linear_modes(6).imag, math.pi * torch.arange(3).double())
    with pytest.raises(ValueError, match="even and at least 2"):
        legs_modes(5)
