"""What every op does with tensors that are empty, elsewhere, unaligned or without memory."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from every_op import EVERY_OP, arguments, parts, replaced, required, results
from ops_support import Tensors, gradients
from torch import Tensor

from spikescan.ops._core.cpu import BUILT, call
from tolerance import SUMMED, assert_close

EACH = pytest.mark.parametrize("op", EVERY_OP)


def run(op: str, values: dict[str, Any], impl: str) -> tuple[Tensors, Tensors]:
    """Results and gradients of all floating tensors."""

    def leaf(_: str, value: Tensor) -> Tensor:
        grows = value.is_floating_point() or value.is_complex()
        return value.detach().requires_grad_(grows) if grows else value

    values = replaced(values, leaf)
    out = results(op, values, impl=impl)
    return out, gradients(out, parts(values))


@EACH
def test_arguments_are_known_for_every_tensor(op: str) -> None:
    signature = inspect.signature(EVERY_OP[op], eval_str=False).parameters
    kinds = ("Tensor", "State", "Diagonal", "LowRank")
    due = {n for n, p in signature.items() if any(kind in str(p.annotation) for kind in kinds)}
    assert set(arguments(op, 2, 3, 4)) == due


@pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
@pytest.mark.parametrize(("batch", "steps"), [(0, 5), (2, 0), (0, 0)])
@EACH
def test_nothing_to_do(op: str, batch: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results and gradients of empty batches and sequences are those of the loop, in full."""
    fresh = call.fresh

    def poison(*arguments: Any) -> Tensor:
        out = fresh(*arguments)
        return out.fill_(torch.nan if out.is_floating_point() else 0x55)

    monkeypatch.setattr(call, "fresh", poison)
    for drop in (False, True):
        values = arguments(op, batch, steps, 5, dtype=torch.float64)
        if drop:  # the fewest arguments; statistics of nothing are none
            kept = required(op) | ({"mean", "var"} if op == "batch_norm" else set())
            values = {name: value for name, value in values.items() if name in kept}
        got, expected = run(op, values, "cpu"), run(op, values, "reference")
        for mine, due in zip(got, expected, strict=True):
            for name, value in (mine | due).items():
                zero = torch.zeros_like(value)  # of what a loop without steps never meets
                assert_close(mine.get(name, zero), due.get(name, zero), SUMMED, name)


def tensors_of(kind: Callable[[str, Tensor], bool] = lambda *_: True) -> list[tuple[str, str]]:
    return [(op, name) for op in EVERY_OP for name, value in parts(arguments(op, 2, 3, 4)).items()
            if kind(name, value)]  # fmt: skip


@pytest.mark.parametrize(("op", "name"), tensors_of())
def test_a_tensor_elsewhere_is_refused(op: str, name: str) -> None:
    """A meta tensor beside those of the CPU: no kernel sees it, and none takes it as absent."""
    values = arguments(op, 2, 3, 4)
    first = "b" if op == "linear_scan" else next(iter(values))
    if set(values) == {first, "lengths"} and name == first:
        pytest.skip("lengths may lie on the CPU beside any device")
    values = replaced(values, lambda n, t: t.to("meta") if n == name else t)
    match = r"^\S+ must be on the device of the input, (cpu, got meta|meta, got cpu)$"
    with pytest.raises(ValueError, match=match) as raised:
        EVERY_OP[op](**values)
    assert name == first or str(raised.value).startswith(f"{name} must")


@pytest.mark.parametrize(("op", "name"), tensors_of())
def test_what_is_not_dense_is_refused(op: str, name: str) -> None:
    values = arguments(op, 2, 3, 4)
    values = replaced(values, lambda n, t: t.to_sparse() if n == name else t)
    match = f"^{re.escape(name)} must be dense, got layout torch.sparse_coo$"
    with pytest.raises(ValueError, match=match):
        EVERY_OP[op](**values)


def unaligned(value: Tensor) -> Tensor:
    """The same numbers, one byte beyond where a processor likes them."""
    plain = value.contiguous()
    raw = bytearray(b"?") + plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    if not plain.numel():
        return plain
    out = torch.frombuffer(raw, dtype=value.dtype, offset=1).view(value.shape)
    assert out.data_ptr() % value.dtype.itemsize
    return out


@pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
@EACH
def test_memory_that_is_not_aligned(op: str) -> None:
    values = arguments(op, 2, 70, 9)
    # Complex numbers of odd alignment end torch itself with a segmentation fault.
    odd = replaced(values, lambda _, t: t if t.is_complex() else unaligned(t))
    got = run(op, odd, "cpu")
    for mine, due in zip(got, run(op, values, "cpu"), strict=True):
        assert all(torch.equal(mine[name], value) for name, value in due.items())


def without_memory(value: Tensor) -> Tensor:
    """Zeros that are only promised, as autograd hands them out where a gradient is zero."""
    return torch._efficientzerotensor(value.shape, dtype=value.dtype)


@pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
@pytest.mark.parametrize(
    ("op", "name"), tensors_of(lambda name, t: t.is_floating_point() and "system" not in name)
)
def test_zeros_without_memory(op: str, name: str) -> None:
    values = arguments(op, 2, 70, 9)
    zeros = replaced(values, lambda n, t: torch.zeros_like(t) if n == name else t)
    empty = replaced(values, lambda n, t: without_memory(t) if n == name else t)
    due = results(op, zeros, impl="cpu")
    for key, value in results(op, empty, impl="cpu").items():
        assert torch.equal(value, due[key]) or (value.isnan() == due[key].isnan()).all()


@pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")
@EACH
def test_gradients_without_memory(op: str) -> None:
    """The gradient that arrives at an op is such a zero as well."""
    values = arguments(op, 2, 70, 9)
    for value in parts(values).values():
        if value.is_floating_point() or value.is_complex():
            value.requires_grad_()
    leaves = {n: t for n, t in parts(values).items() if t.requires_grad}
    out = {n: t for n, t in results(op, values, impl="cpu").items() if t.requires_grad}
    got = torch.autograd.grad(
        list(out.values()), list(leaves.values()), [without_memory(t) for t in out.values()],
        allow_unused=True,
    )  # fmt: skip
    assert all(g is None or not g.any() for g in got)
