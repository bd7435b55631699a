"""Arguments for every public op, found from ``spikescan.ops`` itself."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

import torch
from ops_support import normal, uniform
from torch import Tensor
from torch.utils import _pytree as pytree

from spikescan import ops
from spikescan.ops.dsn.api import DSNState
from spikescan.ops.lif import LIFState
from spikescan.ops.linear_scan.api import LinearScanState
from spikescan.ops.resonate import PRFState
from spikescan.ops.ssm import diagonal

EVERY_OP: dict[str, Callable[..., Any]] = {
    name: getattr(ops, name) for name in ops.__all__ if callable(getattr(ops, name))
}

Arguments = dict[str, Any]


def _lengths(batch: int, steps: int, seed: int) -> Tensor:
    return torch.randint(steps + 1, (batch,), generator=torch.Generator().manual_seed(seed))


def _integers(batch: int, seed: int) -> Tensor:
    return torch.randint(1 << 40, (batch,), generator=torch.Generator().manual_seed(seed))


def _common(op: str, b: int, t: int, d: int, seed: int, dtype: torch.dtype) -> Arguments:
    """What several ops take, under the name that each gives it."""
    return {
        "x": normal(b, t, d, seed=seed, dtype=dtype, scale=0.6, shift=0.3),
        "beta": uniform(0.5, 0.98, d, seed=seed + 1, dtype=dtype),
        "state": normal(b, d, seed=seed + 2, dtype=dtype),
        "lengths": _lengths(b, t, seed + 3),
    }


def arguments(
    op: str, batch: int, steps: int, channels: int, seed: int = 0, dtype: Any = torch.float32
) -> Arguments:
    """All tensor arguments of an op, the optional ones included.

    An op of x (B, T, D), numbers of each channel (D,), a state of (B, D) and lengths needs nothing
    here; one that takes other tensors says so in :func:`_arguments`.
    """
    values = _arguments(op, batch, steps, channels, seed, dtype)
    hints = typing.get_type_hints(EVERY_OP[op])
    for i, name in enumerate(("threshold", "v_reset")):
        if Tensor in typing.get_args(hints.get(name)):
            values[name] = uniform(0.4, 1.2, channels, seed=seed + 12 + i, dtype=dtype)
    if "state" in hints and "state" not in values:
        kind = typing.get_args(hints["state"])[0]
        shapes = {"inputs": (batch, seed % 4, channels)}
        values["state"] = kind(
            *(
                normal(*shapes.get(field, (batch, channels)), seed=seed + 14 + i, dtype=dtype)
                for i, field in enumerate(kind._fields)
            )
        )
    return {name: value for name, value in values.items() if name in hints}


def _arguments(
    op: str, batch: int, steps: int, channels: int, seed: int, dtype: torch.dtype
) -> Arguments:
    c = _common(op, batch, steps, channels, seed, dtype)
    x, beta, state, lengths = c.values()
    wide = (batch, channels)
    if op == "lif":
        return {"x": x, "beta": beta, "state": LIFState(state), "lengths": lengths}
    if op == "resonate":
        turn = uniform(0.0, 3.0, channels, seed=seed + 4, dtype=dtype)
        states = PRFState(state, normal(*wide, seed=seed + 5, dtype=dtype))
        return {"x": x, "delta": beta, "theta": turn, "tau": beta + 2, "state": states,
                "lengths": lengths}  # fmt: skip
    if op == "spike":
        return {"x": x, "threshold": beta, "lengths": lengths}
    if op == "linear_scan":
        return {"a": beta, "b": x, "state": LinearScanState(state), "lengths": lengths}
    if op == "dsn":
        alpha = uniform(0.0, 1.0, *x.shape, seed=seed + 4, dtype=dtype)
        start = DSNState(state, state.new_zeros(batch, 0, channels))
        return {"x": x, "alpha": alpha, "state": start, "lengths": lengths}
    if op == "dsn_conv":
        taps = 1 + seed % 4
        return {
            "x": x,
            "weight": normal(channels, taps, seed=seed + 4, dtype=dtype),
            "bias": beta,
            "state": DSNState(state, normal(batch, taps - 1, channels, seed=seed + 5, dtype=dtype)),
            "lengths": lengths,
        }
    if op == "batch_norm":
        parts = {"weight": beta, "bias": beta - 1, "mean": beta / 2, "var": beta + 1}
        residual = normal(*x.shape, seed=seed + 4, dtype=dtype)
        return {"x": x, **parts, "residual": residual, "lengths": lengths}
    if op == "spike_linear":
        weight = normal(channels + 3, channels, seed=seed + 4, dtype=dtype)
        return {"s": (x > 0.4).to(dtype), "weight": weight, "bias": weight[:, 0].clone()}
    if op == "bernoulli":
        return {"v": x, "key": _integers(batch, seed + 4), "start": _integers(batch, seed + 5)}
    if op == "bernoulli_affine":
        keys = {"key": _integers(batch, seed + 4), "start": _integers(batch, seed + 5)}
        return {"x": x, "gain": beta, "bias": beta - 0.6, **keys, "lengths": lengths}
    if op == "dropout":
        return {"x": x, "key": _integers(1, seed + 4)}
    if op == "ssm":
        modes = (channels, 3)
        system = diagonal(
            torch.complex(-uniform(0.1, 1, *modes, seed=seed + 4), normal(*modes, seed=seed + 5)),
            torch.complex(normal(*modes, seed=seed + 6), normal(*modes, seed=seed + 7)),
            torch.complex(normal(*modes, seed=seed + 8), normal(*modes, seed=seed + 9)),
            uniform(0.01, 0.5, channels, seed=seed + 10),
        )
        h0 = normal(*wide, 6, seed=seed + 11, dtype=dtype)
        return {"x": x, "system": system, "h0": h0, "skip": beta, "lengths": lengths}
    # What is known of no other op: one number for each channel.
    hints = typing.get_type_hints(EVERY_OP[op])
    known = {"x": x, "state": None, "lengths": lengths}
    given = [n for n, hint in hints.items() if Tensor in (hint, *typing.get_args(hint))]
    for i, name in enumerate(n for n in given if n not in known and n != "return"):
        known[name] = uniform(0.5, 0.98, channels, seed=seed + 4 + i, dtype=dtype)
    return {name: value for name, value in known.items() if value is not None}


def parts(values: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of arguments or results by their paths: ``x``, ``state[0]``, ``system.b``."""
    leaves, _ = pytree.tree_flatten_with_path(dict(values))
    named = {}
    for path, value in leaves:
        if isinstance(value, Tensor):
            named[path[0].key + pytree.keystr(path[1:])] = value  # type: ignore[attr-defined]
    return named


def replaced(values: Arguments, change: Callable[[str, Tensor], Any]) -> Arguments:
    """The same arguments with each tensor changed, told its path."""

    def each(path: Any, value: Any) -> Any:
        name = path[0].key + pytree.keystr(path[1:])
        return change(name, value) if isinstance(value, Tensor) else value

    return pytree.tree_map_with_path(each, values)


def results(op: str, values: Arguments, **options: Any) -> dict[str, Tensor]:
    """Run an op and name the tensors of its result."""
    out = EVERY_OP[op](**values, **options)
    return parts({"out": out} if isinstance(out, Tensor) else out._asdict())


def required(op: str) -> set[str]:
    """Arguments without a default."""
    signature = inspect.signature(EVERY_OP[op]).parameters
    return {name for name, p in signature.items() if p.default is inspect.Parameter.empty}
