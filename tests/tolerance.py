"""How far apart two computations of the same thing may be, by dtype, each with its reason.

Spikes, membranes and states of a kernel and of the loop in torch are equal bit for bit and have no
entry here. What remains are gradients and forms that add in another order. A tolerance is relative
to the largest element of what is expected: a gradient is used as a whole, and one of its elements
may be small only because large terms cancel in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Tolerance(NamedTuple):
    """The largest difference allowed, and why it is there."""

    relative: float
    reason: str


Table = Mapping[torch.dtype, Tolerance]

_ROUNDED = "computed in float32, rounded once at the end: one unit in the last place"

# Gradients with one number for each element: inputs and states.
ELEMENT: Table = {
    torch.float64: Tolerance(1e-12, "worst seen 4e-15; terms are grouped otherwise than autograd"),
    torch.float32: Tolerance(1e-5, "worst seen 3e-6 at T = 4096: 30 units in the last place"),
    torch.bfloat16: Tolerance(2**-8, _ROUNDED),
    torch.float16: Tolerance(2**-11, _ROUNDED),
}

# Gradients that are sums over batch and time: decays, time constants, frequencies.
SUMMED: Table = {
    torch.float64: Tolerance(1e-12, "worst seen 7e-15 at T = 4096"),
    torch.float32: Tolerance(
        2e-5, "worst seen 3e-6 at T = 4096; autograd adds T terms in float32, the kernel in float64"
    ),
    torch.bfloat16: Tolerance(2**-8, _ROUNDED),
    torch.float16: Tolerance(2**-11, _ROUNDED),
}

# State-space models: sums over a chunk group their terms otherwise than a loop does.
REGROUPED: Table = {
    torch.float64: Tolerance(1e-12, "worst seen 2e-14"),
    torch.float32: Tolerance(2e-5, "worst seen 6e-6 at T = 150"),
}

# Normalisation: sums over batch and time, and what is scaled by them.
NORMALISED: Table = {
    torch.float64: Tolerance(1e-12, "worst seen 4e-15, in the variance of numbers around 5"),
    torch.float32: Tolerance(1e-5, "worst seen 1e-6, in the same"),
}

# Matrix products, whose sums a dense product takes in an order of its own.
PRODUCT: Table = {
    torch.float64: Tolerance(1e-13, "worst seen 2e-15, over 6,500 rows"),
    torch.float32: Tolerance(1e-5, "worst seen 2e-6, over 6,500 rows"),
}

# States and outputs of sums taken in another order than the loop's: convolutions by FFT.
REORDERED: Table = {
    torch.float64: Tolerance(1e-11, "an FFT's error is near eps log T, of potentials 1/(1 - a)"),
    torch.float32: Tolerance(1e-4, "the same in float32; too much for exact spikes"),
}

# Products of complex numbers, where torch contracts multiplication and addition at row ends.
CONTRACTED: Table = {
    torch.complex128: Tolerance(1e-13, "worst seen 1e-15 after 200 steps of |a| = 0.99"),
    torch.complex64: Tolerance(5e-6, "worst seen 6e-7 after 200 steps of |a| = 0.99"),
}


def assert_close(actual: Tensor, expected: Tensor, table: Table, what: str = "") -> None:
    """Same dtype and shape, and no element further off than the table's share of the largest.

    Whole numbers are equal.
    """
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype}, expected {expected.dtype}"
    assert actual.shape == expected.shape, f"{what}: {actual.shape}, expected {expected.shape}"
    if not expected.numel():
        return
    kind = expected.dtype
    if not (kind.is_floating_point or kind.is_complex):
        assert torch.equal(actual, expected), what
        return
    if kind.is_complex and kind not in table:
        kind = torch.float64 if kind == torch.complex128 else torch.float32
    allowed = table[kind].relative * float(expected.detach().abs().max())
    difference = float((actual - expected).detach().abs().max())
    # Written so that a NaN fails.
    assert difference <= allowed, f"{what}: off by {difference:.3e}, allowed {allowed:.3e}"
