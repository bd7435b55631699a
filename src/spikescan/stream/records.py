"""What a program is made of: one record a computation, each with its numbers in float32.

Values are rows of float32, named by the record that makes them. Matrices are (outputs, inputs), as
torch has them; sums run over the inputs in ascending order, one product after the other, each
rounded: so that every way to run a program gives the same bits. State numbers below
:data:`SMALL` in magnitude are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

SMALL = 2.0**-100
"""Smaller state numbers, inputs and weights are zero: decaying membranes would become subnormal
numbers, with which processors compute many times more slowly."""


class ProgramState(NamedTuple):
    """State of a :class:`~spikescan.stream.Program` for B sequences."""

    rows: dict[str, Tensor]
    """By the name of the record that carries it, (B, rows, D) float32."""
    clock: Tensor
    """(B,) int64, steps read so far."""
    keys: Tensor
    """(B, random_keys) int64, keys of the random numbers."""


@dataclass(frozen=True, eq=False)
class Record:
    """One computation of every step."""

    name: str
    """That of the part of the network that it comes from."""
    inputs: tuple[str, ...]
    """Names of the values that it reads; :data:`~spikescan.models.walk.INPUT` is the input."""
    width: int
    """Channels of its value."""

    @property
    def state_rows(self) -> int:
        """Rows (D,) of state that it carries from step to step."""
        return 0


@dataclass(frozen=True, eq=False)
class Dense(Record):
    """A product of real numbers, y = W x + b."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class Lookup(Record):
    """The row of a table (V, D) that a token names."""

    table: Tensor


@dataclass(frozen=True, eq=False)
class Synapse(Record):
    """Rows added where the source fired, y = b + sum of s_k W_k over the s_k that are not zero."""

    weight: Tensor
    bias: Tensor
    source: Literal["binary", "whole", "real"]
    """What the source gives: 0 or 1, whole numbers, or any."""
    levels: int = 1
    """Largest whole number of the source."""


@dataclass(frozen=True, eq=False)
class Synapse8(Record):
    """Rows of 8-bit integers added up exactly, y = scale * (sum of s_k W_k) + b."""

    weight: Tensor
    """(M, K) int8, -127 .. 127."""
    scale: Tensor
    bias: Tensor
    source: Literal["binary", "whole"]
    levels: int = 1


@dataclass(frozen=True, eq=False)
class Affine(Record):
    """A gain and a bias of each channel, g x + b."""

    gain: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class Residual(Record):
    """The sum of its inputs, the first two first."""


@dataclass(frozen=True, eq=False)
class Gelu(Record):
    """x Φ(x), with Φ to some 1e-7; see :func:`~spikescan.stream.reference.gelu`."""


@dataclass(frozen=True, eq=False)
class Mean(Record):
    """The mean over the steps so far, its sum carried as two numbers: value and rounding error."""

    @property
    def state_rows(self) -> int:
        return 2


@dataclass(frozen=True, eq=False)
class Spatial(Record):
    """A threshold, s = [x >= V]."""

    threshold: Tensor


@dataclass(frozen=True, eq=False)
class LIF(Record):
    """u = beta v + x, s = [u >= V], and v after the reset; a scale of the input is in V."""

    beta: Tensor
    threshold: Tensor
    v_reset: Tensor
    reset: Literal["none", "soft", "hard"]

    @property
    def state_rows(self) -> int:
        return 1


@dataclass(frozen=True, eq=False)
class PRF(Record):
    """u' = (p u - q r) + x, r' = q u + p r, s = [u' >= V]; the time step is in V."""

    p: Tensor
    q: Tensor
    threshold: Tensor

    @property
    def state_rows(self) -> int:
        return 2


@dataclass(frozen=True, eq=False)
class ALIF(Record):
    """u = beta v + x, theta = V + strength a, s = [u >= theta], v = u - theta s, a = rho a + s."""

    beta: Tensor
    rho: Tensor
    strength: Tensor
    threshold: Tensor

    @property
    def state_rows(self) -> int:
        return 2


@dataclass(frozen=True, eq=False)
class DSN(Record):
    """c = b + taps on the last k inputs, alpha = sigmoid(c)^power, h = alpha h + (1 - alpha) x,
    s = h rounded to 0 .. levels; ties go up."""

    taps: Tensor
    """(k, D), the latest input last."""
    bias: Tensor
    power: Tensor
    """(D,), the same for all; whole ones up to 8 are multiplied out."""
    levels: int

    @property
    def state_rows(self) -> int:
        return len(self.taps)


@dataclass(frozen=True, eq=False)
class Diagonal(Record):
    """Modes that do not mix, h' = a h + x, y = skip x + sum of Re(c h'); b is in c."""

    a: Tensor
    """(M, 2, D), real and imaginary parts."""
    c: Tensor
    """(M, 2, D), twice the real part, and minus twice the imaginary part."""
    skip: Tensor

    @property
    def state_rows(self) -> int:
        return 2 * len(self.a)


@dataclass(frozen=True, eq=False)
class LowRank(Record):
    """Modes coupled by a rank-1 matrix: r = d (2 h + b x), h' = (r - e sum of Re(conj(p) r)) - h,
    with e = gain d p; y = skip x + sum of Re(c h')."""

    d: Tensor
    b: Tensor
    p: Tensor
    e: Tensor
    c: Tensor
    """All (M, 2, D), real and imaginary parts; those of c as in :class:`Diagonal`."""
    skip: Tensor

    @property
    def state_rows(self) -> int:
        return 2 * len(self.d)


@dataclass(frozen=True, eq=False)
class Draw(Record):
    """Spikes of probability clamp(x, 0, 1): drawn, s = [U < x], or the probability itself."""

    evaluation: Literal["sample", "mean"]
    key: int
    """Which of a row's random keys is its own."""


FIRES: tuple[type[Record], ...] = (Spatial, LIF, PRF, ALIF, DSN, Draw)
"""Records whose value are spikes."""
