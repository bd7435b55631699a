"""The kernels on a GPU: against its memory, its peers and Fourier forms, from 1k to 256k steps."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace

import torch

from spikescan import ops
from spikescan.bench.case import (
    COPY,
    OURS,
    Case,
    Contender,
    Goal,
    Make,
    Outputs,
    Run,
    Runs,
    Shape,
    Wrong,
)
from spikescan.bench.cases import dsn, lif, prf
from spikescan.bench.compare import relative_error, same
from spikescan.bench.inputs import differentiate, inputs, leaf
from spikescan.bench.peers import spikingjelly
from spikescan.bench.peers.yardsticks import COPIED_BYTES, YARDSTICKS

LENGTHS = (1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18)
ROWS, FEATURES = 64, 128
MOST_ELEMENTS = 1 << 29
"""Beyond it there are fewer rows: 2 GiB a tensor, of which a pass holds half a dozen."""
LOOPED = 2048
"""Longest T that a Python loop checks."""
JUDGED = 1 << 12
"""From this T on, most of the copy bandwidth has to be reached."""
RECURRENT, CHUNKED = "HGRN, recurrent", "HGRN, in chunks"
SCAN_BYTES = 32
"""Read a and b, write h; read g, h and a, write both gradients."""


def shape_of(steps: int) -> Shape:
    return Shape(steps, min(ROWS, MOST_ELEMENTS // (steps * FEATURES)), FEATURES, "cuda")


def scan(shape: Shape) -> Run:
    """``ops.linear_scan`` with a multiplier for each step."""
    b, g = inputs(shape)
    a, b = leaf(dsn.decay(shape)), leaf(b)
    return lambda: differentiate(ops.linear_scan(a, b).h, g, (b, a))


def scan_loop(shape: Shape) -> Outputs:
    """The same as a plain loop."""
    b, g = inputs(shape)
    a, b = leaf(dsn.decay(shape)), leaf(b)
    h, states = torch.zeros_like(b[:, 0]), []
    for a_t, b_t in zip(a.unbind(1), b.unbind(1), strict=True):
        h = a_t * h + b_t
        states.append(h)
    return differentiate(torch.stack(states, 1), g, (b, a))


def hgrn(kind: str) -> Make:
    """flash-linear-attention's recurrence h = exp(g) h + x, by its own kernels.

    Its multiplier comes as a logarithm, made beforehand: no contender pays for making it.
    """

    def make(shape: Shape) -> Run:
        run = getattr(importlib.import_module("fla.ops.hgrn"), f"{kind}_hgrn")
        b, g = inputs(shape)
        b, log_a = leaf(b), leaf(dsn.decay(shape).log())
        return lambda: differentiate(run(b, log_a)[0], g, (b, log_a))

    return make


def check_scan(shape: Shape, runs: Runs) -> str:
    """The states are no spikes, so that rounding may differ: within a relative error of 1e-5."""
    errors = [relative_error(a, b) for a, b in zip(runs[OURS](), scan_loop(shape), strict=True)]
    if not max(errors) <= 1e-5:
        raise Wrong(f"states and gradients off by {max(errors):.1e} from the loop")
    return f"states and gradients within {max(errors):.1e} of the float32 loop"


def at_most_looped(check: Callable[[Shape, Runs], str], ours: Make) -> Callable[..., str]:
    """The check at a T that a loop can run, on as many lanes."""

    def short(shape: Shape, runs: Runs) -> str:
        if shape.steps <= LOOPED:
            return check(shape, runs)
        cut = replace(shape, steps=LOOPED)
        return f"T={LOOPED:,}: {check(cut, {OURS: ours(cut)})}"

    return short


def check_prf(shape: Shape, runs: Runs) -> str:
    """Every spike as the loop's where lanes are many. Few lanes run in segments of time, whose
    states are rounded otherwise, so that spikes at the threshold may differ."""
    share = 0.0 if shape.batch == ROWS else 1e-3
    loop = prf.loop(shape)()
    return same(runs[OURS](), loop, who="the float32 loop", spikes=share, gradient=1e-3)


def memory(make: Make) -> Callable[[Shape], dict[str, float]]:
    """Most memory of a pass beyond its input and results, as a share of the input."""

    def facts(shape: Shape) -> dict[str, float]:
        run = make(shape)
        run()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        outputs = run()
        kept = sum(out.nbytes for out in outputs[:2])
        most = torch.cuda.max_memory_allocated() - before - kept
        return {"memory beyond input, output, gradient / input": most / outputs[0].nbytes}

    return facts


def _case(
    kind: str,
    steps: int,
    ours: Contender,
    check: Callable[[Shape, Runs], str],
    peers: tuple[Contender, ...],
    bytes_an_element: int,
) -> Case:
    shape = shape_of(steps)
    here = tuple(p for p in peers if p.most_steps is None or steps <= p.most_steps)
    share = Goal(
        "share of the copy bandwidth",
        lambda m: m[COPY] * bytes_an_element / COPIED_BYTES / m[OURS],
        (OURS, COPY),
        0.8,
        percent=True,
    )
    ahead = tuple(
        Goal(f"{peer.name} / ours", _ratio(peer.name), (OURS, peer.name), 1.0) for peer in here
    )
    return Case(
        f"gpu-{kind}-{steps}",
        f"{kind.upper()} on a GPU, T={steps:,}",
        shape,
        replace(shape, steps=min(steps, 512), batch=8),
        at_most_looped(check, ours.make),
        (ours, *here, *YARDSTICKS),
        facts=memory(ours.make),
        goals=(share, *ahead) if steps >= JUDGED and shape.batch == ROWS else ahead,
        bytes_an_element=bytes_an_element,
    )


def _ratio(peer: str) -> Callable[..., float]:
    return lambda m: m[peer] / m[OURS]


_JELLY = Contender(
    lif.NODE,
    spikingjelly.lif_node,
    peer="spikingjelly",
    setting="its fused kernels, by SJ_LIF_CUDA_IMPLEMENTATION; multi-step, (T, N) contiguous",
)
_HGRN = tuple(
    Contender(name, hgrn(kind), peer="fla", setting="flash-linear-attention, logarithms given")
    for name, kind in ((RECURRENT, "fused_recurrent"), (CHUNKED, "chunk"))
)
_SCAN = Contender(OURS, scan, setting="ops.linear_scan, a multiplier for each step")

CASES = tuple(
    case
    for steps in LENGTHS
    for case in (
        _case("lif", steps, lif.NEURON, lif.check, (_JELLY,), lif.BYTES),
        _case("prf", steps, prf.NEURON, check_prf, prf.FORMS, prf.BYTES),
        _case("scan", steps, _SCAN, check_scan, _HGRN, SCAN_BYTES),
        _case("dsn", steps, dsn.NEURON, dsn.check, (dsn.JELLY_PSN,), dsn.BYTES),
    )
)
