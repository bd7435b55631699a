"""The Triton kernels on a GPU, at the sizes they are for; skipped where there is none.

`pytest tests/gpu` runs them. The loop over time in float32 on the same device is what they must
equal; long sequences are held against the compiled CPU kernel, which equals that loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")
if not torch.cuda.is_available():
    pytest.skip("needs a CUDA device", allow_module_level=True)

from spikescan.ops import dsn, dsn_conv, lif, linear_scan, resonate
from spikescan.ops._core.triton import segments
from spikescan.ops.dsn.api import DSNState
from spikescan.ops.lif.api import LIFState, Reset
from spikescan.ops.linear_scan.api import LinearScanState
from spikescan.ops.resonate import PRFState
from spikescan.ops.surrogate import ATan
from tolerance import ELEMENT, REORDERED, SUMMED, Table, Tolerance, assert_close

Tensors = dict[str, Tensor]
Impl = Literal["auto", "reference", "cpu", "triton"]
Run = Callable[[Tensors, Impl], Tensors]

RESETS: list[tuple[Reset, bool]] = [
    *(("soft", True), ("soft", False), ("hard", True), ("hard", False)),
    ("none", True),
]
FUSED: Table = {torch.float32: Tolerance(1e-3, "decays differ in their last bits, summed over T")}


@pytest.fixture(params=[0, 1 << 15], ids=["one segment", "segments"])
def many_lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(segments, "MANY_LANES", request.param)
    return request.param


def draw(*shape: int, seed: int, scale: float = 1, shift: float = 0) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return (drawn * scale + shift).cuda()


def between(low: float, high: float, *shape: int, seed: int) -> Tensor:
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return (drawn * (high - low) + low).cuda()


def results(run: Run, tensors: Tensors, impl: Impl) -> tuple[Tensors, Tensors]:
    """Outputs and gradients of a random weighting of them, on the CPU for its kernels."""
    device = "cpu" if impl == "cpu" else "cuda"
    leaves = {k: v.detach().to(device).requires_grad_() for k, v in tensors.items()}
    outputs = run(leaves, impl)
    kept = [value for value in outputs.values() if value.requires_grad]
    weights = [
        draw(*value.shape, seed=50 + i).to(device, value.dtype) for i, value in enumerate(kept)
    ]
    grads = torch.autograd.grad(kept, list(leaves.values()), weights, allow_unused=True)
    named = {k: g.cuda() for k, g in zip(leaves, grads, strict=True) if g is not None}
    return {k: v.detach().cuda() for k, v in outputs.items()}, named


def compare(
    run: Run,
    tensors: Tensors,
    *,
    against: Impl = "cpu",
    exact: bool = True,
    summed: tuple[str, ...] = (),
    table: Table = REORDERED,
) -> Tensors:
    (got, grads), (due, due_grads) = (results(run, tensors, k) for k in ("triton", against))
    for name, value in due.items():
        if exact:
            assert torch.equal(got[name], value), f"{name}: {(got[name] != value).sum()} differ"
        elif name == "spikes":
            # Rounding decides where the membrane meets a threshold.
            assert (got[name] != value).float().mean() < 1e-4
        else:
            assert_close(got[name], value, table, name)
    for name, value in due_grads.items():
        half = value.dtype in (torch.bfloat16, torch.float16)
        limits = (SUMMED if name in summed else ELEMENT) if exact or half else table
        assert_close(grads[name], value, limits, f"gradient of {name}")
    return got


def run_lif(**options: Any) -> Run:
    def run(t: Tensors, impl: Impl) -> Tensors:
        out = lif(t["x"], t["beta"], LIFState(t["v0"]), return_membrane=True, impl=impl, **options)
        assert out.membrane is not None
        return {"spikes": out.spikes, "membrane": out.membrane, "v": out.state.v}

    return run


def lif_inputs(batch: int, steps: int, channels: int) -> Tensors:
    return {
        "x": draw(batch, steps, channels, seed=1, scale=0.6, shift=0.3),
        "beta": between(0.5, 0.99, channels, seed=2),
        "v0": draw(batch, channels, seed=3),
    }


@pytest.mark.parametrize(("reset", "detach"), RESETS)
def test_ten_million_spikes_of_lif_are_those_of_the_loop(reset: Reset, detach: bool) -> None:
    x, beta, v0 = lif_inputs(64, 2048, 512).values()
    outputs = []
    with torch.no_grad():
        for impl in ("triton", "reference"):
            outputs.append(lif(x, beta, LIFState(v0), reset=reset, impl=impl).spikes)
    assert outputs[1].sum() >= 1e7
    assert int((outputs[0] != outputs[1]).sum()) == 0


@pytest.mark.parametrize(("reset", "detach"), RESETS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 17, 33), (8, 1000, 130)], ids=str)
def test_lif(shape: tuple[int, int, int], reset: Reset, detach: bool) -> None:
    run = run_lif(reset=reset, detach_reset=detach)
    compare(run, lif_inputs(*shape), against="reference", summed=("beta",))


@pytest.mark.parametrize(("reset", "detach"), RESETS)
def test_lif_over_long_sequences(reset: Reset, detach: bool) -> None:
    run = run_lif(reset=reset, detach_reset=detach)
    compare(run, lif_inputs(2, 65536, 64), summed=("beta",))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_lif_in_half_precision(dtype: torch.dtype) -> None:
    tensors = lif_inputs(8, 1000, 130)
    tensors["x"] = tensors["x"].to(dtype)
    compare(run_lif(detach_reset=False), tensors, summed=("beta",))


def test_lif_with_strides_and_lengths() -> None:
    tensors = lif_inputs(4, 300, 70)
    tensors["x"] = tensors["x"].transpose(1, 2).contiguous().transpose(1, 2)
    ends = torch.tensor([0, 17, 160, 300])

    def run(t: Tensors, impl: Impl) -> Tensors:
        return run_lif(lengths=ends.to(t["x"].device))(t, impl)

    assert compare(run, tensors, summed=("beta",))["spikes"].any()


def run_scan(t: Tensors, impl: Impl) -> Tensors:
    out = linear_scan(t["a"], t["b"], LinearScanState(t["h0"]), impl=impl)
    return {"h": out.h, "final": out.state.h}


@pytest.mark.parametrize("per_step", [False, True], ids=["constant", "per step"])
@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("shape", [(2, 65536, 16), (16, 1000, 130)], ids=str)
def test_linear_scan(
    shape: tuple[int, int, int], is_complex: bool, per_step: bool, many_lanes: int
) -> None:
    wide = shape if per_step else shape[2:]
    a, b, h0 = between(0.9, 0.999, *wide, seed=1), draw(*shape, seed=2), draw(*shape[::2], seed=3)
    if is_complex:
        a = torch.polar(a, between(0, 3, *wide, seed=4))
        b, h0 = torch.complex(b, draw(*shape, seed=5)), torch.complex(h0, -h0)
    exact = not is_complex and many_lanes == 0
    compare(run_scan, {"a": a, "b": b, "h0": h0}, exact=exact, summed=("a",))


def run_resonate(t: Tensors, impl: Impl) -> Tensors:
    out = resonate(
        t["x"], t["delta"], t["theta"], PRFState(t["u"], t["r"]), tau=40.0,
        return_membrane=True, impl=impl,
    )  # fmt: skip
    assert out.membrane is not None
    return {"spikes": out.spikes, "membrane": out.membrane, "u": out.state.u, "r": out.state.r}


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(2, 65536, 16), (16, 1000, 130)], ids=str)
def test_resonate(shape: tuple[int, int, int], half: bool, many_lanes: int) -> None:
    lanes = shape[::2]
    tensors = {
        "x": draw(*shape, seed=1).to(torch.bfloat16 if half else torch.float32),
        "delta": between(0.2, 1, shape[2], seed=2),
        "theta": between(0, 3, shape[2], seed=3),
        "u": draw(*lanes, seed=4),
        "r": draw(*lanes, seed=5),
    }
    exact = many_lanes == 0
    compare(run_resonate, tensors, exact=exact, summed=("delta", "theta"))


def run_dsn(t: Tensors, impl: Impl) -> Tensors:
    state = DSNState(t["h0"], t["h0"].new_empty(t["h0"].shape[0], 0, t["h0"].shape[1]))
    out = dsn(t["x"], t["alpha"], state, surrogate=ATan(), return_membrane=True, impl=impl)
    assert out.membrane is not None
    return {"spikes": out.spikes, "membrane": out.membrane, "h": out.state.h}


def run_dsn_conv(t: Tensors, impl: Impl) -> Tensors:
    out = dsn_conv(
        t["x"], t["weight"], t["bias"], DSNState(t["h0"], t["inputs"]),
        surrogate=ATan(), return_membrane=True, impl=impl,
    )  # fmt: skip
    assert out.membrane is not None
    return {"spikes": out.spikes, "membrane": out.membrane, "h": out.state.h}


@pytest.mark.parametrize("shape", [(2, 65536, 16), (16, 1000, 130)], ids=str)
def test_dynamic_decay(shape: tuple[int, int, int], many_lanes: int) -> None:
    batch, _, channels = shape
    x, h0 = draw(*shape, seed=1, scale=3, shift=1), draw(batch, channels, seed=2)
    given = {"x": x, "alpha": between(0, 1, *shape, seed=3), "h0": h0}
    compare(run_dsn, given, exact=many_lanes == 0)
    fused = {
        "x": x,
        "weight": draw(channels, 4, seed=4, scale=0.3),
        "bias": between(0, 3, channels, seed=5),
        "h0": h0,
        "inputs": draw(batch, 3, channels, seed=6),
    }
    compare(run_dsn_conv, fused, exact=False, table=FUSED)


def test_compile_gives_the_same_and_compiles_once_for_all_lengths() -> None:
    def net(x: Tensor) -> Tensor:
        return 2 * lif(2 * x, 0.9, impl="triton").spikes

    torch._dynamo.reset()
    compiled = torch.compile(net, fullgraph=True, dynamic=True)
    for steps in (70, 33, 129):
        x = draw(2, steps, 48, seed=steps)
        grads = []
        for function in (compiled, net):
            leaf = x.clone().requires_grad_()
            out = function(leaf)
            (grad,) = torch.autograd.grad(out.sum(), leaf)
            grads.append((out, grad))
        assert torch.equal(grads[0][0], grads[1][0])
        torch.testing.assert_close(grads[0][1], grads[1][1])


def test_new_shapes_compile_no_kernel() -> None:
    from spikescan.ops.lif.triton_kernels import backward_kernel, forward_kernel

    def kernels() -> int:
        caches = (kernel.device_caches[0][0] for kernel in (forward_kernel, backward_kernel))
        return sum(len(cache) for cache in caches)

    # The reset and the surrogate of no other test, so that these are the first.
    run = run_lif(detach_reset=False, surrogate=ATan())
    results(run, lif_inputs(2, 70, 40), "triton")
    before = kernels()
    for shape in ((1, 1, 1), (2, 64, 64), (3, 4096, 17)):
        results(run, lif_inputs(*shape), "triton")
    assert kernels() == before


def test_auto_takes_triton() -> None:
    x, beta, v0 = lif_inputs(2, 50, 40).values()
    auto, chosen = (lif(x, beta, LIFState(v0), impl=impl) for impl in ("auto", "triton"))
    assert torch.equal(auto.spikes, chosen.spikes)
    assert torch.ops.spikescan.lif_forward_triton is not None
