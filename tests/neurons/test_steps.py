"""A step without gradient, which has a shorter way, is that of sequences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad as fwAD

from spikescan import DSN, LIF, PRF, Neuron, SlidingPSN, Spatial
from spikescan.ops._core.cpu import BUILT

NEURONS: dict[str, Callable[[int], Neuron]] = {
    "LIF": partial(LIF, tau=7.0, threshold=0.6),
    "LIF, hard": partial(LIF, tau=7.0, threshold=0.6, reset="hard", v_reset=-0.2),
    "PRF": partial(PRF, threshold=0.1),
    "PRF, learnable tau": partial(PRF, threshold=0.1, learnable_tau=True),
    "DSN": DSN,
    "DSN, one tap": partial(DSN, kernel_size=1, levels=1, tau=0.3),
    "SlidingPSN": SlidingPSN,
    "Spatial": Spatial,
    "Spatial, learnable": partial(Spatial, learnable_threshold=True),
}
EACH = pytest.mark.parametrize("name", NEURONS)
WITH_KERNEL = pytest.mark.parametrize(
    "name", [name for name in NEURONS if not name.startswith(("SlidingPSN", "Spatial"))]
)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def made(name: str, dtype: torch.dtype = torch.float32) -> tuple[Neuron, Tensor]:
    torch.manual_seed(0)
    neuron = NEURONS[name](6).to(dtype)
    return neuron, torch.randn(3, 40, 6, dtype=dtype)


@torch.no_grad()
def stepped(neuron: Neuron, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
    spikes = []
    for x_t in x.unbind(1):
        s, state = neuron.step(x_t, state)
        spikes.append(s)
    return torch.stack(spikes, 1), state


def assert_same(got: tuple[Tensor, Any], due: tuple[Tensor, Any]) -> None:
    assert all(torch.equal(a, b) for a, b in zip((got[0], *got[1]), (due[0], *due[1]), strict=True))


@EACH
@DTYPES
def test_steps_have_the_bits_of_the_whole(name: str, dtype: torch.dtype) -> None:
    neuron, x = made(name, dtype)
    whole = neuron(x)
    assert 0.02 < whole[0].mean() < 0.98
    assert_same(stepped(neuron, x), whole)
    channels_first = x.transpose(1, 2).contiguous().transpose(1, 2)
    assert_same(stepped(neuron, channels_first), whole)
    with torch.no_grad():
        assert neuron(x[:, :1])[0].shape == (3, 1, 6)


@WITH_KERNEL
def test_no_change_of_a_parameter_is_missed(name: str) -> None:
    """Not even those past autograd, which its version counters do not see."""
    neuron, x = made(name)
    tensors = [*neuron.parameters(), *neuron.buffers()]

    def past_autograd(tensor: Tensor) -> None:
        tensor.data.mul_(0.8)

    def past_torch(tensor: Tensor) -> None:
        tensor.detach().numpy()[:] *= 0.9

    def in_place(tensor: Tensor) -> None:
        with torch.no_grad():
            tensor.mul_(0.7)

    def replaced(tensor: Tensor) -> None:
        tensor.data = tensor.data * 1.2

    for change in (past_autograd, past_torch, in_place, replaced):
        before = stepped(neuron, x)
        for tensor in tensors:
            change(tensor)
        after = stepped(neuron, x)
        assert not torch.equal(after[0], before[0])
        assert_same(after, neuron(x))


@pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
@WITH_KERNEL
def test_the_kernel_of_steps_runs(name: str) -> None:
    neuron, x = made(name)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        stepped(neuron, x[:, :2])
    assert any(event.key.endswith("_step") for event in profile.key_averages())


@EACH
@torch.no_grad()
def test_mistakes_are_told_as_everywhere(name: str) -> None:
    neuron, x = made(name)
    x_t, (_, state) = x[:, 0], neuron.step(x[:, 0])
    mistakes: list[Any] = [x_t[:, :5], x_t[0], x[:, :1], [0.0], None]
    if not name.startswith(("SlidingPSN", "Spatial")):  # of plain torch, which takes these
        mistakes += [x_t.int(), x_t.to("meta")]
    for wrong in mistakes:
        with pytest.raises((ValueError, TypeError, AttributeError)):
            neuron.step(wrong, state)
    with pytest.raises(ValueError, match=r"x must have shape \(B, T, 6\)"):
        neuron(x_t)
    for i, part in enumerate(state):
        for wrong in (part[:2], part[..., :5]):
            with pytest.raises(ValueError, match=r"state\.\w+ must have shape"):
                neuron.step(x_t, type(state)(*state[:i], wrong, *state[i + 1 :]))
    with pytest.raises(TypeError, match="state must be None or a"):
        neuron.step(x_t, x_t)
    half = neuron.step(x_t.bfloat16(), state)
    assert half[0].dtype == torch.bfloat16
    assert all(part.dtype == torch.float32 for part in half[1])


@EACH
def test_where_a_gradient_is_asked_for_steps_have_it(name: str) -> None:
    neuron, x = made(name)
    x_t = x[:, 0].clone().requires_grad_()
    spikes, state = neuron.step(x_t)
    sum((part.sum() for part in state), spikes.sum()).backward()
    assert x_t.grad is not None
    assert x_t.grad.any()


@EACH
@torch.no_grad()
def test_steps_alone_are_no_sequences(name: str) -> None:
    neuron, x = made(name)
    with pytest.raises(ValueError, match=r"x must have shape \(B, T, 6\)"):
        neuron(x[0])


@EACH
@torch.no_grad()
def test_hooks_see_steps(name: str) -> None:
    neuron, x = made(name)
    seen: list[torch.Size] = []
    neuron.register_forward_hook(lambda _, __, out: seen.append(out[0].shape))
    neuron.register_forward_pre_hook(lambda _, given: (0 * given[0], *given[1:]))
    assert not neuron.step(100 + x[:, 0])[0].any()
    assert seen == [(3, 1, 6)]


@EACH
def test_forward_mode_is_not_dropped(name: str) -> None:
    """Whoever pushes a tangent through a step hears that there is none, or gets it."""
    neuron, x = made(name)
    for parameter in neuron.parameters():
        parameter.requires_grad_(False)
    _, state = neuron.step(x[:, 0])
    point = x[:, 1]
    with fwAD.dual_level():
        dual = fwAD.make_dual(point, torch.ones_like(point))
        try:
            spikes = neuron.step(dual, state)[0]
        except NotImplementedError as refusal:
            assert "has no forward-mode derivative" in str(refusal)  # noqa: PT017
        else:
            assert fwAD.unpack_dual(spikes).tangent is not None


def test_options_out_of_range_are_refused_by_steps() -> None:
    """Options of a neuron may be set after it was made."""
    x_t = torch.rand(2, 6)
    for name, value in (("levels", 257), ("levels", 0), ("tau", -1.0)):
        neuron = DSN(6)
        setattr(neuron, name, value)
        with torch.no_grad(), pytest.raises(ValueError, match="must"):
            neuron.step(x_t)
    neuron = DSN(6)
    neuron.weight = nn.Parameter(torch.zeros(6, 17))
    with torch.no_grad(), pytest.raises(ValueError, match=r"weight must have shape \(6, k\)"):
        neuron.step(x_t)


@torch.no_grad()
def test_nan_shows_in_steps_without_a_state() -> None:
    x_t = torch.tensor([[torch.nan, 0.4, 0.5, torch.inf, -torch.inf, -0.0]])
    spikes, _ = Spatial(6).step(x_t)
    assert torch.equal(spikes.nan_to_num(7.0), torch.tensor([[7.0, 0, 1, 1, 0, 0]]))


class Shut(LIF):
    def trace(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        return super().trace(0 * x, *args, **kwargs)


class Forgetful(LIF):
    @property
    def beta(self) -> Tensor:
        return torch.zeros(self.features)


class Doubled(PRF):
    def forward(self, x: Tensor, state: Any = None, lengths: Any = None) -> Any:
        return super().forward(2 * x, state, lengths)


class Late(PRF):
    def trace(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        return super().trace(x - 0.4, *args, **kwargs)


@pytest.mark.parametrize("kind", [Shut, Forgetful, Doubled, Late])
@torch.no_grad()
def test_steps_of_a_class_made_from_one_are_its_own(kind: type[Neuron]) -> None:
    torch.manual_seed(0)
    neuron, x = kind(6), 2 * torch.randn(3, 40, 6)
    assert_same(stepped(neuron, x), neuron(x))
    spikes, state = [], None
    for x_t in x.split(1, 1):
        s, state = neuron(x_t, state)
        spikes.append(s)
    assert_same((torch.cat(spikes, 1), state), neuron(x))
