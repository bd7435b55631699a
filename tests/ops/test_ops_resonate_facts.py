"""Resonate-and-fire: what theory says about the oscillator."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import normal, uniform

from spikescan.ops import lif, resonate
from spikescan.ops.lif import LIFState
from spikescan.ops.resonate import PRFState, coefficients
from support import seeded


@given(
    delta=st.floats(1e-6, 10),
    theta=st.floats(0, 30),
    tau=st.floats(0.1, 1e4),
    double=st.booleans(),
)
@settings(deadline=None)
def test_oscillators_die_out(delta: float, theta: float, tau: float, double: bool) -> None:
    """|a| < 1, exactly in float64, and within one rounding of it in float32."""
    dtype = torch.float64 if double else torch.float32
    d, a = torch.tensor([delta], dtype=dtype), torch.tensor([theta], dtype=dtype)
    p, q, gain = coefficients(d, a, tau)
    assert p.dtype == q.dtype == gain.dtype == dtype
    size = math.hypot(float(p), float(q))
    expected = math.exp(-float(d) / tau)
    assert expected < 1
    assert float(p) ** 2 + float(q) ** 2 <= 1
    assert size == pytest.approx(expected, rel=2 * torch.finfo(dtype).eps)
    assert float(gain) == float(d)


@pytest.mark.parametrize("impl", ["reference", "cpu"])
def test_no_oscillator_grows(impl: str) -> None:
    # Rounded to nearest, 0.7 % of these coefficients had |a| > 1.
    lanes = 4096
    theta = uniform(0, 3, lanes, seed=0)
    delta, tau = torch.ones(lanes), 1e9
    exact = torch.polar(torch.ones(lanes).double(), theta.double())
    over = exact.real.float().double() ** 2 + exact.imag.float().double() ** 2 > 1
    assert over.sum() > 10
    x = torch.zeros(1, 1, lanes)
    ends = []
    for state in (PRFState(x[:, 0] + 1, x[:, 0]), PRFState(x[:, 0], x[:, 0] + 1)):
        out = resonate(x, delta, theta, state, tau=tau, impl=impl)
        ends.append(out.state)
    # From (1, 0) the first step gives (p, q) themselves, from (0, 1) it gives (-q, p).
    p, q, _ = coefficients(delta, theta, tau)
    assert torch.equal(ends[0].u[0], p)
    assert torch.equal(ends[0].r[0], q)
    assert torch.equal(ends[1].u[0], -q)
    assert bool((p.double() ** 2 + q.double() ** 2 <= 1).all())
    off = torch.complex(p.double(), q.double()) - exact
    assert float(off.abs().max()) < 2 * 2**-24
    # The rest is rounded to nearest.
    assert torch.equal(p[~over], (exact.real * math.exp(-1 / tau)).float()[~over])


def test_coefficients_keep_their_digits_near_one() -> None:
    # In float32 arithmetic exp(-1e-6 / 50) and the angle would lose most of what they say.
    delta, theta = torch.tensor([1e-6, 1e-3]), torch.tensor([3.0, 1e-4])
    p, q, _ = coefficients(delta, theta, 50.0)
    for i in range(2):
        d, a = float(delta[i]), float(theta[i])
        exact = complex(math.cos(d * a), math.sin(d * a)) * math.exp(-d / 50)
        assert float(p[i]) == pytest.approx(exact.real, rel=2**-24)
        assert float(q[i]) == pytest.approx(exact.imag, rel=2**-24)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_rotation_it_is_lif_without_reset(dtype: torch.dtype) -> None:
    x, u0 = normal(2, 300, 7, seed=0, dtype=dtype), normal(2, 7, seed=1, dtype=dtype)
    tau = uniform(1, 30, 7, seed=2, dtype=dtype)
    one = torch.ones(7, dtype=dtype)
    beta = torch.exp(-1 / tau.double()).to(dtype)
    prf = resonate(x, one, 0 * one, PRFState(u0, 0 * u0), tau=tau, return_membrane=True)
    plain = lif(x, beta, LIFState(u0), reset="none", return_membrane=True)
    assert plain.spikes.mean() > 0.05
    assert plain.membrane is not None
    assert torch.equal(prf.spikes, plain.spikes)
    assert torch.equal(prf.membrane, plain.membrane)
    assert torch.equal(prf.state.u, plain.state.v)
    assert not prf.state.r.any()


def test_a_step_is_one_complex_product() -> None:
    x, z = normal(1, 1, 5, seed=0, dtype=torch.float64), normal(2, 5, seed=1, dtype=torch.float64)
    delta, theta = (uniform(0.1, 1, 5, seed=s, dtype=torch.float64) for s in (2, 3))
    out = resonate(x, delta, theta, PRFState(z[:1], z[1:]), tau=3.0)
    a = torch.exp(torch.complex(-delta / 3, delta * theta))
    expected = a * torch.complex(z[0], z[1]) + delta * x[0, 0]
    assert torch.allclose(
        torch.complex(out.state.u[0], out.state.r[0]), expected, rtol=0, atol=1e-14
    )


@pytest.mark.parametrize(("delta", "tau", "theta"), [(0.5, 2.0, 2.0), (0.1, 2.0, 10.0)])
def test_variance_under_white_noise(delta: float, tau: float, theta: float) -> None:
    """E|z|^2 is Delta^2 sigma^2 / (1 - exp(-2 Delta / tau)), split evenly by a fast rotation."""
    sigma, lanes = 1.5, 256
    steps = int(20 * tau / delta)  # exp(-40) of the start is left
    x = torch.randn(256, steps, lanes, generator=seeded(0)) * sigma
    full = torch.full((lanes,), delta)
    out = resonate(x, full, full / delta * theta, tau=tau)
    expected = (delta * sigma) ** 2 / (1 - math.exp(-2 * delta / tau))
    # 65536 draws: the standard error of a variance is near 0.6 %.
    assert float((out.state.u**2 + out.state.r**2).mean()) == pytest.approx(expected, rel=0.03)
    a_squared = complex(math.cos(2 * delta * theta), math.sin(2 * delta * theta))
    a_squared *= math.exp(-2 * delta / tau)
    # Re(z)^2 = (|z|^2 + Re z^2) / 2, and E z^2 is the geometric sum of a^2.
    real = (expected + ((delta * sigma) ** 2 / (1 - a_squared)).real) / 2
    assert float((out.state.u**2).mean()) == pytest.approx(real, rel=0.03)
    if delta / tau <= 0.05:
        # The theory for small steps: the second term gone and the exponential expanded.
        assert real == pytest.approx(tau * delta * sigma**2 / 4, rel=0.15)


@pytest.mark.parametrize("theta", [0.5, 2.0, 8.0])
def test_response_peaks_at_its_own_frequency(theta: float) -> None:
    delta, tau = 0.05, 20.0
    omega = theta * torch.tensor([0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2], dtype=torch.float64)
    steps = int(20 * tau / delta)
    phase = omega * delta * torch.arange(steps)[:, None]
    # The neuron is linear up to its threshold: cosine and sine give the complex response.
    x = torch.stack([torch.cos(phase), torch.sin(phase)])
    full = torch.full_like(omega, delta)
    out = resonate(x, full, torch.full_like(omega, theta), tau=tau)
    response = torch.complex(out.state.u[0] - out.state.r[1], out.state.r[0] + out.state.u[1]).abs()
    a = torch.exp(torch.complex(-full / tau, full * theta))
    expected = delta / (1 - a * torch.exp(-1j * omega * delta)).abs()
    torch.testing.assert_close(response, expected, rtol=1e-6, atol=0)
    assert int(response.argmax()) == 3
    assert bool((response[:3].diff() > 0).all() and (response[3:].diff() < 0).all())
    # In continuous time the gain at the peak is tau.
    assert float(response[3]) == pytest.approx(tau, rel=0.01)
