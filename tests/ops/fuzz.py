"""Random calls of every op with odd tensors: each gives what the loop gives, or is refused.

``python tests/ops/fuzz.py FIRST COUNT`` makes the calls of these numbers; a number stands for one
call, whatever was called before. The number of a call that is wrong is printed with its arguments.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
from every_op import EVERY_OP, Arguments, arguments, parts, replaced, required, results
from ops_support import Tensors, gradients
from torch import Tensor

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def _shifted(t: Tensor) -> Tensor:
    """Behind a gap, in every second place of its memory."""
    out = t.new_empty((*(2 * n for n in t.shape), 1))[..., 0]
    return out[tuple(slice(0, n) for n in t.shape)].copy_(t)


def _misaligned(t: Tensor) -> Tensor:
    if not t.numel() or t.is_complex():
        return t
    raw = bytearray(b"?") + t.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    return torch.frombuffer(raw, dtype=t.dtype, offset=1).view(t.shape)


# The same numbers in another guise, and what no op should take.
GUISES: dict[str, Callable[[Tensor], Tensor]] = {
    "turned": lambda t: t.mT.contiguous().mT if t.ndim > 1 else t,
    "shifted": _shifted,
    "misaligned": _misaligned,
    "negated": lambda t: torch._neg_view(-t) if t.is_floating_point() else t,
    "a copy": lambda t: t.clone(),
}
CHANGES: dict[str, Callable[[Tensor], Any]] = {
    "zeros": lambda t: torch._efficientzerotensor(t.shape, dtype=t.dtype),
    "one of each": lambda t: t[:1, :1].expand(t.shape) if t.ndim > 1 and t.numel() else t,
    "meta": lambda t: t.to("meta"),
    "sparse": lambda t: t.to_sparse(),
    "longer": lambda t: torch.cat((t, t), -1) if t.ndim else t,
    "a rank more": lambda t: t[None],
    "flat": lambda t: t.flatten(),
    "half": lambda t: t.half(),
    "whole": lambda t: t.real.to(torch.int32),
    "complex": lambda t: t.to(torch.complex64),
    "nothing": lambda t: None,
    "a number": lambda t: 0.5,
    "a list": lambda t: t.tolist(),
}
REFUSALS = (TypeError, ValueError, NotImplementedError, RuntimeError)


def call_of(number: int) -> tuple[str, Arguments, str]:
    """The op and arguments of a number, and words for them."""
    pick = random.Random(number)
    op = pick.choice(list(EVERY_OP))
    shape = pick.choice((0, 1, 2, 3)), pick.choice((0, 1, 5, 64, 65, 130)), pick.randint(1, 40)
    dtype = pick.choice(DTYPES[:2] if pick.random() < 0.8 else DTYPES)
    values = arguments(op, *shape, number % 1000, dtype)
    kept = {name for name in values if name in required(op) or pick.random() < 0.6}
    values = {name: value for name, value in values.items() if name in kept}
    names = list(parts(values))
    guise, change = pick.choice(list(GUISES)), pick.choice(["none", "none", *CHANGES])
    target = pick.choice(names)
    words = f"{op} {shape} {dtype} {sorted(kept)} {guise}, {target} {change}"

    def each(name: str, value: Tensor) -> Any:
        out = GUISES[guise](value) if pick.random() < 0.5 else value
        out = CHANGES[change](out) if name == target and change != "none" else out
        if isinstance(out, Tensor) and (out.is_floating_point() or out.is_complex()):
            return out.detach().requires_grad_(pick.random() < 0.5)
        return out

    return op, replaced(values, each), words


def run(op: str, values: Arguments, impl: str) -> tuple[Tensors, Tensors] | str:
    """Results and gradients, or the kind of error."""
    try:
        out = results(op, values, impl=impl)
        return out, gradients(out, parts(values))
    except REFUSALS as error:
        return type(error).__name__


def check(number: int) -> None:
    """Make the call of a number on the kernel, as it chooses itself and in the loop."""
    op, values, words = call_of(number)
    got = run(op, values, "auto")
    if op == "batch_norm" or (isinstance(got, tuple) and got[0] and _is_meta(got[0])):
        return  # whose statistics may be those of a single step, and whose dtypes differ
    due = run(op, values, "reference")
    kinds = [r if isinstance(r, str) else "results" for r in (got, due)]
    assert isinstance(got, str) == isinstance(due, str), f"call {number}: {kinds}, {words}"
    if isinstance(got, str) or isinstance(due, str):
        return
    assert got[0].keys() == due[0].keys(), f"call {number}: {words}"
    for name, value in due[0].items():
        mine = got[0][name]
        assert mine.dtype == value.dtype, f"call {number}: {name} of {words}"
        assert mine.shape == value.shape, f"call {number}: {name} of {words}"
        assert _close(mine, value), f"call {number}: {name} of {words}"
    for name in got[1].keys() & due[1].keys():
        assert _close(got[1][name], due[1][name]), f"call {number}: gradient of {name} of {words}"


def _is_meta(out: Tensors) -> bool:
    return next(iter(out.values())).is_meta


def _close(a: Tensor, b: Tensor) -> bool:
    """Close where both are finite; a spike may differ where a threshold is met by rounding."""
    if a.is_complex():
        a, b = (torch.view_as_real(t.resolve_conj()) for t in (a, b))
    wide = torch.promote_types(a.dtype, torch.float32)
    a, b = a.detach().to(wide), b.detach().to(wide)
    both = a.isfinite() & b.isfinite()
    if not both.any():
        return True
    scale = float(b[both].abs().max()) + 1e-3
    off = (a - b)[both].abs() > 2e-3 * scale
    return int(off.sum()) <= 0.02 * off.numel() + 1


def main(first: int, count: int) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for number in range(first, first + count):
        print(number, flush=True)
        check(number)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
