"""State-space layers against dense simulations."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, signal
from torch import Tensor

import support
from spikescan import (
    DPLR,
    S4D,
    SSMState,
    StateSpace,
)
from spikescan.ops._core.cpu import BUILT
from spikescan.ops._core.fft import causal_convolution
from spikescan.ops.ssm import Diagonal, LowRank, legs, legs_modes, ssm
from spikescan.ops.ssm.chunked import CHUNK
from spikescan.ops.ssm.system import kernel
from tolerance import REGROUPED, SUMMED, Tolerance, assert_close

B, T, D, N = 3, 150, 6, 8
FAST = ("chunked", "cpu") if BUILT else ("chunked",)
Make = Callable[..., StateSpace]

LAYERS: dict[str, Make] = {
    "S4D": partial(S4D, states=N),
    "S4D-linear-zoh": partial(S4D, states=N, init="linear", method="zoh", n_ssm=2, dt_max=0.5),
    "S4D-own": partial(S4D, states=N, n_ssm=D),
    "DPLR": partial(DPLR, states=N),
    "DPLR-own": partial(DPLR, states=N, n_ssm=D, dt_min=0.1, dt_max=1.0),
}
CUTS: dict[str, Sequence[int]] = {
    "halves": (75, 75),
    "uneven": (1, 63, 64, 22),
    "at a chunk": (64, 86),
    "steps": (1,) * T,
}
draw = partial(support.draw, dtype=torch.float64)
by_name = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
by_cuts = pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def build(make: Callable[[int], Any], dtype: torch.dtype = torch.float64) -> Any:
    torch.manual_seed(0)
    return make(D).to(dtype)


def complex_of(pairs: Tensor) -> np.ndarray:
    return torch.view_as_complex(pairs.detach().double()).numpy()


def continuous(layer: StateSpace, channel: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Dense complex A, B, C of all N modes, conjugates too, and Δ, written out from parameters."""
    model = channel // (layer.features // layer.n_ssm)
    lam = -layer.log_decay[model].detach().double().exp() + 1j * layer.frequency[model].detach()
    a = np.diag(np.concatenate((lam.numpy(), lam.numpy().conj())))
    if isinstance(layer, DPLR):
        p = complex_of(layer.p)[model]
        p = np.concatenate((p, p.conj()))
        a = a - np.outer(p, p.conj())
    b, c = complex_of(layer.b)[model], complex_of(layer.c)[channel]
    dt = math.log1p(math.exp(layer.raw_delta[channel].item()))
    return a, np.concatenate((b, b.conj())), np.concatenate((c, c.conj())), dt


def simulate(layer: StateSpace, x: Tensor) -> Tensor:
    """Outputs (B, T, D) by a dense loop: nothing of the library's discretisation or scan."""
    method = getattr(layer, "method", "bilinear")
    y = np.zeros(x.shape)
    for d in range(x.shape[2]):
        a, b, c, dt = continuous(layer, d)
        one = np.eye(len(a))
        if method == "bilinear":
            inverse = np.linalg.inv(one - dt / 2 * a)
            step, gain = inverse @ (one + dt / 2 * a), inverse @ (dt * b)
        else:
            step = linalg.expm(dt * a)
            gain = np.linalg.solve(a, (step - one) @ b)
        h = np.zeros((x.shape[0], len(a)), complex)
        for t in range(x.shape[1]):
            h = h @ step.T + x[:, t, d].numpy()[:, None] * gain
            y[:, t, d] = (h @ c).real
            assert np.allclose((h @ c).imag, 0, atol=1e-8 * abs(h @ c).max())
    return torch.from_numpy(y)


@by_name
def test_layer_is_the_dense_simulation(make: Make) -> None:
    layer, x = build(make), draw(B, T, D)
    y, state = layer(x)
    assert isinstance(state, SSMState)
    assert state.h.shape == (B, D, N)
    assert_close(y.detach(), simulate(layer, x), REGROUPED)


def test_first_layer_is_hippo_under_scipys_bilinear_rule() -> None:
    """From A and B in closed form, in their own basis: no modes, no pairs, no Woodbury."""
    layer = build(partial(DPLR, states=N))
    a, b = (v.numpy() for v in legs(N))
    v = legs_modes(N).v.numpy()
    impulse = torch.zeros(1, 40, D, dtype=torch.float64)
    impulse[:, 0] = 1
    y = layer(impulse)[0].detach()[0]
    for d in range(D):
        *_, dt = continuous(layer, d)
        c = 2 * (complex_of(layer.c)[d] @ v.conj().T).real
        step, gain, *_ = signal.cont2discrete((a, b[:, None], c[None], 0), dt, "bilinear")
        due = [(c @ np.linalg.matrix_power(step, t) @ gain).item() for t in range(40)]
        # Start values pass through float32 parameters.
        off = (y[:, d] - torch.tensor(due, dtype=torch.float64)).abs().max()
        assert float(off) < 1e-5 * max(map(abs, due))


@by_name
def test_kernel_and_fft(make: Make) -> None:
    layer, x = build(make), draw(B, T, D)
    response = kernel(layer.system(), T)
    assert response.shape == (D, T)
    assert_close(layer(x)[0].detach(), causal_convolution(x, response.detach().T), REGROUPED)


def pieces_of(layer: Any, x: Tensor, state: Any, cuts: Sequence[int]) -> tuple[Tensor, Any]:
    """Outputs and last state of chunks; chunks of one step go through ``step``."""
    outputs = []
    for piece in x.split(list(cuts), 1):
        if piece.shape[1] == 1:
            y, state = layer.step(piece[:, 0], state)
            y = y[:, None]
        else:
            y, state = layer(piece, state)
        outputs.append(y)
    return torch.cat(outputs, 1), state


@by_name
@dtypes
@by_cuts
@pytest.mark.parametrize("started", [True, False], ids=["state", "rest"])
def test_whole_is_chunks_is_steps(
    make: Make, dtype: torch.dtype, cuts: Sequence[int], started: bool
) -> None:
    layer = build(make, dtype)
    batch = 1 if started else B
    x = draw(batch, T, D, dtype=dtype).requires_grad_()
    h0 = draw(batch, D, N, seed=2, dtype=dtype).requires_grad_()
    start = SSMState(h0) if started else None
    wanted = [x, *([h0] if started else []), *layer.parameters()]
    found = []
    for y, state in (layer(x, start), pieces_of(layer, x, start, cuts)):
        loss = (y * draw(*y.shape, seed=3, dtype=dtype)).sum()
        loss = loss + (state.h * draw(batch, D, N, seed=4, dtype=dtype)).sum()
        found.append((y, state.h, torch.autograd.grad(loss, wanted)))
    (y, h, grads), (y2, h2, grads2) = found
    assert_close(y2, y, REGROUPED)
    assert_close(h2, h, REGROUPED)
    for got, expected in zip(grads2, grads, strict=True):
        assert_close(got, expected, SUMMED)


@by_name
@pytest.mark.parametrize("steps", [1, 2, 16, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK + 7])
@pytest.mark.parametrize("two_sided", [False, True])
def test_op_is_its_reference(make: Make, steps: int, two_sided: bool) -> None:
    system = build(partial(make, two_sided=two_sided)).system()
    x, skip = draw(2, steps, D).requires_grad_(), draw(D, seed=5).requires_grad_()
    h0 = None if two_sided else draw(2, D, N, seed=2).requires_grad_()
    lengths = torch.tensor([steps, steps // 2])
    for valid in (None, lengths):
        found = []
        for impl in (*FAST, "reference"):
            out = ssm(x, system, h0, skip=skip, lengths=valid, impl=impl)  # type: ignore[arg-type]
            loss = (out.y * draw(*out.y.shape, seed=3)).sum()
            loss = loss if out.h is None else loss + (out.h * draw(*out.h.shape, seed=4)).sum()
            wanted = [v for v in (x, skip, h0) if v is not None]
            grads = torch.autograd.grad(loss, wanted, retain_graph=True)
            found.append([out.y, *([] if out.h is None else [out.h]), *grads])
        *fast, due = found
        for got, expected in ((g, e) for each in fast for g, e in zip(each, due, strict=True)):
            assert_close(got, expected, SUMMED)


@by_name
def test_what_is_not_finite_stays_out_of_the_past(make: Make) -> None:
    layer, x = build(make, torch.float32), draw(1, T, D, dtype=torch.float32)
    due = layer(x)[0].detach()
    for at in (0, 6, 40, 130):
        for odd in (math.nan, math.inf):
            spoilt = x.clone()
            spoilt[0, at, 2] = odd
            y = layer(spoilt)[0].detach()
            assert torch.equal(y[:, :at], due[:, :at])
            assert torch.equal(y[:, :, 3:], due[:, :, 3:])
            assert not y[0, at:, 2].isfinite().any()


@pytest.mark.parametrize("make", [LAYERS["S4D"], LAYERS["DPLR"]], ids=["S4D", "DPLR"])
@pytest.mark.parametrize("two_sided", [False, True])
def test_gradcheck(make: Make, two_sided: bool) -> None:
    torch.manual_seed(0)
    layer = make(2, states=4, two_sided=two_sided).double()
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, h0: Tensor, skip: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        state = None if two_sided else SSMState(h0)
        given_values = dict(zip(names, values, strict=True))
        y, state = torch.func.functional_call(layer, given_values, (x, state, None, skip))
        return (y,) if state is None else (y, state.h)

    inputs = [draw(1, 5, 2), draw(1, 2, 4, seed=2), draw(2, seed=3), *layer.parameters()]
    assert torch.autograd.gradcheck(run, [v.detach().requires_grad_() for v in inputs])


@by_name
def test_two_sided_is_two_kernels(make: Make) -> None:
    layer = build(partial(make, two_sided=True))
    assert not layer.causal
    x = draw(B, T, D)
    y, state = layer(x)
    assert state is None
    ahead, back = copy.deepcopy(layer), copy.deepcopy(layer)
    ahead.c_back, back.c_back = None, None
    back.c = layer.c_back
    due = ahead(x)[0]
    due[:, :-1] += back(x.flip(1))[0].flip(1)[:, 1:]
    assert_close(y, due, REGROUPED)
    for name, call in (
        ("step", lambda: layer.step(x[:, 0])),
        ("state", lambda: layer(x, SSMState(torch.zeros(B, D, N)))),
    ):
        with pytest.raises(ValueError, match=f"reads the future here and has no {name}"):
            call()


@by_name
@dtypes
@pytest.mark.parametrize("two_sided", [False, True])
def test_rows_in_a_padded_batch_are_rows_alone(
    make: Make, dtype: torch.dtype, two_sided: bool
) -> None:
    layer = build(partial(make, two_sided=two_sided), dtype)
    lengths = torch.tensor([T, 65, 64, 1, 0])
    x = draw(5, T, D, dtype=dtype)
    x[torch.arange(T) >= lengths[:, None]] = torch.nan
    x = x.requires_grad_()
    skip = draw(D, seed=5, dtype=dtype)
    h0 = None if two_sided else draw(5, D, N, seed=2, dtype=dtype)
    y, state = layer(x, None if h0 is None else SSMState(h0), lengths, skip)
    y.sum().backward()
    assert x.grad is not None
    for row, n in enumerate(lengths.tolist()):
        start = None if h0 is None else SSMState(h0[row : row + 1])
        alone, end = layer(x[row : row + 1, :n].detach(), start, None, skip)
        assert_close(y[row : row + 1, :n].detach(), alone.detach(), REGROUPED)
        assert not y[row, n:].any()
        assert not x.grad[row, n:].any()
        if state is not None:
            assert_close(state.h[row : row + 1].detach(), end.h.detach(), REGROUPED)
    assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())


@by_name
def test_strides_do_not_matter(make: Make) -> None:
    layer, x = build(make, torch.float32), draw(B, T, D, dtype=torch.float32)
    expected, _ = layer(x)
    for dims in ((0, 1), (1, 2)):
        other = x.transpose(*dims).contiguous().transpose(*dims)
        assert not other.is_contiguous()
        assert torch.equal(layer(other)[0], expected)


@pytest.mark.parametrize("make", [S4D, DPLR])
def test_long_memories_keep_their_digits(make: Make) -> None:
    torch.manual_seed(0)
    layer = make(2, dt_min=1e-5, dt_max=1e-4)
    steps = 1 << 16
    x = draw(1, steps, 2, dtype=torch.float32)
    with torch.no_grad():
        y, state = layer(x)
        exact, end = copy.deepcopy(layer).double()(x.double())
    assert y.isfinite().all()
    scale = float(exact.abs().max())
    assert float((y - exact).abs().max()) < 1e-5 * scale
    assert float((state.h - end.h).abs().max()) < 1e-5 * float(end.h.abs().max())
    # Of an impulse far back something is left.
    response = kernel(layer.system(), steps).detach()[0]
    assert response[-1000:].abs().max() > 0.01 * response.abs().max()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    scale=st.floats(0.01, 30),
    kind=st.sampled_from([S4D, DPLR]),
)
def test_stable_for_any_parameters(seed: int, scale: float, kind: Make) -> None:
    torch.manual_seed(seed)
    layer = kind(4, states=6)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.randn_like(p) * scale)
        layer.log_decay.clamp_(max=10)
        a, _ = layer.system().matrices()
        radius = torch.linalg.eigvals(a).abs().max()
    assert float(radius) <= 1 + 1e-9


@pytest.mark.parametrize("make", [S4D, DPLR])
def test_start_values(make: Make) -> None:
    torch.manual_seed(0)
    layer = make(4096, states=4, dt_min=0.01, dt_max=0.5)
    delta = layer.delta.detach()
    assert 0.01 <= float(delta.min()) < 0.0101
    assert 0.49 < float(delta.max()) <= 0.5 * (1 + 1e-6)
    # Log-uniform: the logarithms have the mean and the deviation of a uniform number.
    low, high = math.log(0.01), math.log(0.5)
    assert float(delta.log().mean()) == pytest.approx((low + high) / 2, abs=0.06)
    assert float(delta.log().std()) == pytest.approx((high - low) / 12**0.5, rel=0.03)
    assert layer.c.square().sum(-1).mean().item() == pytest.approx(1, abs=0.05)


@by_name
def test_parameters_and_their_groups(make: Make) -> None:
    layer = build(make)
    models, modes = layer.n_ssm, N // 2
    low_rank = isinstance(layer, DPLR)
    count = D + 2 * D * modes + models * modes * (6 if low_rank else 4)
    assert sum(p.numel() for p in layer.parameters()) == count
    own = {id(p) for p in layer.neuron_parameters()}
    assert {name for name, p in layer.named_parameters() if id(p) not in own} == {"c"}
    two = build(partial(make, two_sided=True))
    assert sum(p.numel() for p in two.parameters()) == count + 2 * D * modes
    two(draw(B, T, D))[0].square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in two.parameters())


@by_name
def test_half_precision(make: Make) -> None:
    layer, x = build(make, torch.float32), draw(B, T, D).round().bfloat16()
    y, state = layer(x)
    assert y.dtype == torch.bfloat16
    assert state.h.dtype == torch.float32
    assert_close(y, layer(x.float())[0].bfloat16(), {torch.bfloat16: Tolerance(2**-8, "rounded")})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x.float())[0], layer(x.float())[0].float())
    assert layer.bfloat16()(x)[0].isfinite().all()


def test_layer_errors() -> None:
    for arguments, message in (
        ({"states": 7}, "even and at least 2"),
        ({"n_ssm": 4}, "n_ssm must divide features = 6, got 4"),
        ({"dt_min": 0.2, "dt_max": 0.1}, "0 < dt_min <= dt_max"),
        ({"init": "random"}, "init must be"),
        ({"method": "euler"}, "method must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            S4D(D, **arguments)
    layer = S4D(D, states=N)
    with pytest.raises(ValueError, match=r"\(B, T, 6\) for S4D\(6\), got \(3, 150, 7\)"):
        layer(draw(B, T, D + 1))
    with pytest.raises(ValueError, match=r"\(B, 6\) for S4D\(6\)"):
        layer.step(draw(B, T, D))
    for call in (
        lambda s: layer(draw(B, T, D), s),
        lambda s: layer.step(draw(B, D), s),
    ):
        with pytest.raises(ValueError, match="shape"):
            call(SSMState(torch.zeros(B, D, N + 2)))
    with pytest.raises(ValueError, match="impl must be"):
        ssm(draw(B, T, D), layer.system(), impl="fft")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have 6 channels"):
        ssm(draw(B, T, D + 1), layer.system())
    with pytest.raises(ValueError, match="lengths must lie in"):
        layer(draw(B, T, D), lengths=torch.tensor([T + 1, 1, 1]))
    with pytest.raises(TypeError, match="x must be one of"):
        layer(torch.ones(B, T, D, dtype=torch.int64))


@by_name
def test_empty_inputs_and_systems(make: Make) -> None:
    layer = build(make)
    assert isinstance(layer.system(), (Diagonal, LowRank))
    h0 = draw(B, D, N)
    y, state = layer(torch.zeros(B, 0, D, dtype=torch.float64), SSMState(h0))
    assert y.shape == (B, 0, D)
    assert torch.equal(state.h, h0)
    assert layer(torch.zeros(0, T, D, dtype=torch.float64))[0].shape == (0, T, D)
