"""Start values of state-space models against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from spikescan.ops.ssm import legs, legs_modes, linear_modes


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
