"""Every bad argument: an error that names it, says what came and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from spikescan.ops import lif, linear_scan, resonate, spike
from spikescan.ops.lif import LIFState
from spikescan.ops.linear_scan.api import LinearScanState
from spikescan.ops.resonate import PRFState

B, T, D = 2, 6, 3
ONE = torch.ones(D)
X = torch.zeros(B, T, D)


# Every op as a function of its sequence and options.
def run_lif(x: Tensor, **options: Any) -> Any:
    return lif(x, options.pop("beta", 0.5), **options)


def run_resonate(x: Tensor, **options: Any) -> Any:
    return resonate(x, options.pop("delta", 0.5), options.pop("theta", 1.0), **options)


def run_scan(x: Tensor, **options: Any) -> Any:
    return linear_scan(options.pop("a", ONE), x, **options)


OPS = {"lif": run_lif, "resonate": run_resonate, "linear_scan": run_scan, "spike": spike}
EACH = pytest.mark.parametrize("op", OPS.values(), ids=OPS)
SEQUENCE = {run_scan: "b"}  # all others call it x


@EACH
@pytest.mark.parametrize("shape", [(), (D,), (T, D), (1, B, T, D)])
def test_rank(op: Callable[..., Any], shape: tuple[int, ...]) -> None:
    name = SEQUENCE.get(op, "x")
    with pytest.raises(ValueError, match=rf"^{name} must have shape \(B, T, D\), got \(") as raised:
        op(torch.zeros(shape))
    assert str(shape) in str(raised.value)


@EACH
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.bool])
def test_dtype(op: Callable[..., Any], dtype: torch.dtype) -> None:
    name = SEQUENCE.get(op, "x")
    with pytest.raises(TypeError, match=f"^{name} must be one of float32, float64.*, got {dtype}$"):
        op(X.to(dtype))


@pytest.mark.parametrize("op", [run_lif, run_resonate, spike])
def test_complex_input_is_for_the_scan_alone(op: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"^x must be one of .*, got torch.complex64$"):
        op(X.to(torch.complex64))


@EACH
def test_no_channels(op: Callable[..., Any]) -> None:
    name = SEQUENCE.get(op, "x")
    match = rf"^{name} must have at least one channel, got shape \(2, 6, 0\)$"
    with pytest.raises(ValueError, match=match):
        op(torch.zeros(B, T, 0))


PER_CHANNEL = [
    (run_lif, "beta"),
    (run_resonate, "delta"),
    (run_resonate, "theta"),
    (run_resonate, "tau"),
]


@pytest.mark.parametrize(("op", "name"), PER_CHANNEL)
@pytest.mark.parametrize("shape", [(1,), (4,), (B, D), (B, T, D)])
def test_parameters_of_another_shape(
    op: Callable[..., Any], name: str, shape: tuple[int, ...]
) -> None:
    match = rf"^{name} must be a number or have shape \(3,\), got \({shape[0]},"
    with pytest.raises(ValueError, match=match):
        op(X, **{name: torch.ones(shape)})


@pytest.mark.parametrize(("op", "name"), PER_CHANNEL)
def test_complex_parameters(op: Callable[..., Any], name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name} must be real, got torch.complex64$"):
        op(X, **{name: ONE.to(torch.complex64)})


STATES = [
    (run_lif, r"state\.v", lambda s: {"state": LIFState(s)}),
    (run_resonate, r"state\.u", lambda s: {"state": PRFState(s, torch.zeros(B, D))}),
    (run_resonate, r"state\.r", lambda s: {"state": PRFState(torch.zeros(B, D), s)}),
    (run_scan, r"state\.h", lambda s: {"state": LinearScanState(s)}),
]


@pytest.mark.parametrize(("op", "name", "options"), STATES)
@pytest.mark.parametrize("shape", [(D,), (1, D), (B, 1), (3, D), (B, T, D)])
def test_a_state_of_another_shape(
    op: Callable[..., Any], name: str, options: Callable[[Tensor], Any], shape: tuple[int, ...]
) -> None:
    # A state left from a batch of another size is the usual way to get here.
    with pytest.raises(ValueError, match=rf"^{name} must have shape \(2, 3\), got \(") as raised:
        op(X, **options(torch.zeros(shape)))
    assert str(raised.value).endswith(str(shape))


@pytest.mark.parametrize(("op", "name", "options"), STATES)
def test_a_complex_state_of_a_real_scan(
    op: Callable[..., Any], name: str, options: Callable[[Tensor], Any]
) -> None:
    with pytest.raises(TypeError, match=rf"^{name} must be real, got torch.complex64$"):
        op(X, **options(torch.zeros(B, D, dtype=torch.complex64)))


@EACH
@pytest.mark.parametrize("rows", [[7, 6], [-1, 3], [0, 1 << 40]])
def test_lengths_out_of_range(op: Callable[..., Any], rows: list[int]) -> None:
    match = rf"^lengths must lie in 0..T = 6, got {min(rows)}..{max(rows)}$"
    for impl in ("auto", "reference"):
        with pytest.raises(ValueError, match=match):
            op(X, lengths=torch.tensor(rows), impl=impl)


@EACH
@pytest.mark.parametrize(
    "lengths",
    [
        torch.tensor([1.0, 2.0]),
        torch.tensor([True, False]),
        torch.tensor(3),
        torch.tensor([1, 2, 3]),
        torch.ones(B, T, dtype=torch.int64),
    ],
    ids=["floats", "flags", "one number", "three rows", "a mask"],
)
def test_lengths_of_another_kind(op: Callable[..., Any], lengths: Tensor) -> None:
    match = r"^lengths must be whole numbers of shape \(2,\), got torch\.\w+ of shape "
    with pytest.raises(ValueError, match=match) as raised:
        op(X, lengths=lengths)
    assert str(lengths.dtype) in str(raised.value)
    assert str(raised.value).endswith(str(tuple(lengths.shape)))


@EACH
def test_unknown_implementation(op: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"^impl must be 'auto' or one of .*'cpu'.*got 'cuda'$"):
        op(X, impl="cuda")


@pytest.mark.parametrize(
    ("op", "offered"),
    [(run_scan, r"\('reference', 'cpu', 'triton'\)"), (spike, r"\('reference', 'cpu'\)")],
)
def test_an_implementation_of_other_ops(op: Callable[..., Any], offered: str) -> None:
    with pytest.raises(ValueError, match=rf"^impl must be .*{offered}, got 'fft'$"):
        op(X, impl="fft")


@EACH
def test_the_cpu_kernel_on_another_device(op: Callable[..., Any]) -> None:
    x = X.to("meta")
    options = {"a": ONE.to("meta")} if op is run_scan else {}
    with pytest.raises(ValueError, match=r"^impl='cpu' needs tensors on the CPU, got device meta$"):
        op(x, impl="cpu", **options)
    # Left to choose, the op takes what runs there.
    out = op(x, lengths=torch.tensor([6, 2]), **options)
    assert (out if op is spike else out[0]).device.type == "meta"


def test_unknown_reset() -> None:
    with pytest.raises(
        ValueError, match=r"^reset must be one of \('none', 'soft', 'hard'\), got 'x'$"
    ):
        lif(X, 0.5, reset="x")


@pytest.mark.parametrize("reset", ["hard", "none"])
def test_published_form_has_soft_reset_only(reset: Any) -> None:
    with pytest.raises(ValueError, match=rf"impl='fft' covers reset='soft' only.*'{reset}'$"):
        lif(X, 0.5, reset=reset, impl="fft")


@pytest.mark.parametrize("op", [run_lif, run_resonate])
def test_published_forms_do_not_take_lengths(op: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"impl='fft' does not take lengths; use 'cpu' or 'ref"):
        op(X, lengths=torch.tensor([1, 2]), impl="fft")


@pytest.mark.parametrize("shape", [(), (1,), (4,), (T, D), (B, T, 1), (1, T, D)])
def test_a_multiplier_of_another_shape(shape: tuple[int, ...]) -> None:
    match = r"^a must have shape \(3,\) or that of b, \(2, 6, 3\), got \("
    with pytest.raises(ValueError, match=match):
        linear_scan(torch.ones(shape), X)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_a_multiplier_of_whole_numbers(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"^a must be a floating or complex tensor, got {dtype}$"):
        linear_scan(ONE.to(dtype), X)
